//! Numbers that the host and the kernels share: places in a block of numbers, sections of the
//! state, schemes. Each is defined once, here. Rust uses the enumerations; the kernels use the
//! constants that [`Layout::constants`](super::layout::Layout::constants) writes from them.

/// Defines an enumeration of consecutive numbers from 0 with the names of their WGSL constants.
macro_rules! slots {
    ($($(#[$doc:meta])* $name:ident { $($(#[$slot_doc:meta])* $slot:ident $wgsl:literal,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq)]
            pub enum $name {
                $($(#[$slot_doc])* $slot,)*
            }

            impl $name {
                /// Every one, in order.
                pub const ALL: [Self; Self::COUNT] = [$(Self::$slot),*];
                /// How many there are.
                pub const COUNT: usize = [$(Self::$slot),*].len();
            }
        )*

        /// Every slot of every enumeration: the name of its WGSL constant, and its number.
        pub const SLOTS: &[(&str, usize)] = &[$($(($wgsl, $name::$slot as usize),)*)*];
    };
}

slots! {
    /// Sections of the state buffer. In each a chain has its weights, its readout and one vector of
    /// notes, see shaders/bindings.wgsl.
    Section {
        /// Positions θ, with the notes L and V.
        Current "CURRENT",
        /// ∂L or ∂V at the position; notes: whether the chain is lost, and whose gradient it is.
        Gradient "GRADIENT",
        /// Positions within a trajectory, with the notes L and V.
        Proposal "PROPOSAL",
        /// Momenta; after the last step of a trajectory the gradient at the proposal.
        Momentum "MOMENTUM",
    }

    /// How a kernel moves the chains of one temperature.
    KernelScheme {
        /// [`Scheme::Obabo`](crate::backend::Scheme::Obabo), with or without Metropolis test.
        Obabo "OBABO",
        /// [`Scheme::Baoab`](crate::backend::Scheme::Baoab).
        Baoab "BAOAB",
        /// θ ← shrink·θ − rate·∂L + amplitude·ξ: [`Scheme::Ula`](crate::backend::Scheme::Ula), and
        /// without noise and prior [`Scheme::Descent`](crate::backend::Scheme::Descent).
        Ula "ULA",
        /// No move: only the loss and the gradient at the position are wanted.
        Frozen "FROZEN",
        /// [`Scheme::Marginal`](crate::backend::Scheme::Marginal): W′ alone moves, by V.
        Marginal "MARGINAL",
    }

    /// What the kernels know of the integrator of one temperature, in front of the data of each
    /// direction: `Integrator` in shaders/update.wgsl.
    IntegratorSlot {
        /// A [`KernelScheme`].
        Scheme "INTEGRATOR_SCHEME",
        /// 1 where a Metropolis test decides on the trajectory, else 0.
        Metropolis "INTEGRATOR_METROPOLIS",
        /// β = 1/T.
        Beta "INTEGRATOR_BETA",
        /// Step length of a drift.
        Time "INTEGRATOR_TIME",
        /// What half a kick multiplies the gradient by: hβ/2, or h/2 where V is the energy.
        Force "INTEGRATOR_FORCE",
        /// hλ0/2; 0 where the prior turns W′.
        WeightPrior "INTEGRATOR_WEIGHT_PRIOR",
        /// hλ1/2; 0 where the prior turns W′.
        ReadoutPrior "INTEGRATOR_READOUT_PRIOR",
        /// exp(−γh) of p ← keep·p + fresh·√m ξ.
        Keep "INTEGRATOR_KEEP",
        /// √(1 − keep²).
        Fresh "INTEGRATOR_FRESH",
        /// 1/m of v.
        Inverse "INTEGRATOR_INVERSE",
        /// √m of v.
        Root "INTEGRATOR_ROOT",
        /// Factor of W′ in a step of ULA.
        WeightShrink "INTEGRATOR_WEIGHT_SHRINK",
        /// Factor of v in a step of ULA.
        ReadoutShrink "INTEGRATOR_READOUT_SHRINK",
        /// Factor of the gradient in a step of ULA.
        Rate "INTEGRATOR_RATE",
        /// Factor of the noise in a step of ULA.
        Amplitude "INTEGRATOR_AMPLITUDE",
    }

    /// What a round leaves of one chain's trajectory; the measurement follows.
    TransitionSlot {
        /// Probability of acceptance.
        Acceptance "TRANSITION_ACCEPTANCE",
        /// ΔH of the trajectory.
        EnergyError "TRANSITION_ENERGY_ERROR",
        /// H at its start, high part.
        EnergyHigh "TRANSITION_ENERGY_HIGH",
        /// H at its start, low part.
        EnergyLow "TRANSITION_ENERGY_LOW",
        /// 1 where it diverged, else 0.
        Diverged "TRANSITION_DIVERGED",
        /// 1 where the chain then changed places with that of the next temperature, else 0.
        Exchanged "TRANSITION_EXCHANGED",
    }

    /// Scalars of a measurement, each a mean over units unless it says otherwise. The mean squared
    /// norms of the classes and the Gram matrix of their centroids follow, those of the training
    /// points first. [`Measurement`](crate::backend::Measurement) has the formulas.
    MeasurementSlot {
        /// L, high part.
        LossHigh "MEASURED_LOSS_HIGH",
        /// L, low part.
        LossLow "MEASURED_LOSS_LOW",
        /// Mean of s v.
        ReadoutMean "MEASURED_READOUT_MEAN",
        /// Mean of v².
        ReadoutSecondMoment "MEASURED_READOUT_SECOND_MOMENT",
        /// Mean of v w·û.
        ReadoutWeightAlongU "MEASURED_READOUT_WEIGHT_ALONG_U",
        /// Mean of (w·û)².
        WeightAlongUSquared "MEASURED_WEIGHT_ALONG_U_SQUARED",
        /// Mean of W′², over directions too.
        WeightSecondMoment "MEASURED_WEIGHT_SECOND_MOMENT",
        /// 1 where the chain is lost, else 0.
        Lost "MEASURED_LOST",
        /// Mean squared error over the test points.
        TestSquaredError "MEASURED_TEST_SQUARED_ERROR",
        /// Mean of v⁴.
        ReadoutFourthMoment "MEASURED_READOUT_FOURTH_MOMENT",
        /// Mean of (w·û)⁴.
        WeightAlongUFourth "MEASURED_WEIGHT_ALONG_U_FOURTH",
    }
}
