//! What a theory predicts, one form for all theories.

use super::error::TheoryError;
use super::kind::TheoryKind;
use super::saddle::Solution;
use super::unit::UnitDetails;
use crate::numerics::estimate::Estimate;

/// What one theory predicts at one temperature.
///
/// Names are those of the JSON output. Averages that a theory knows exactly have the error zero.
/// `None`, or an empty list, stands where the theory is silent.
#[derive(Debug, Clone)]
pub struct Prediction {
    pub kind: TheoryKind,
    pub temperature: f64,
    /// ⟨L⟩/P.
    pub train_loss: Option<Estimate>,
    /// Σ (⟨f*⟩ − y*)²/P*, Σ Var f*/P* and their sum; `None` without test points, too.
    pub test_bias_squared: Option<Estimate>,
    pub test_variance: Option<Estimate>,
    pub test_mse: Option<Estimate>,
    /// ⟨f*⟩ and Var f* of every test point, (P*).
    pub predictive_mean: Vec<Estimate>,
    pub predictive_variance: Vec<Estimate>,
    /// ⟨v²⟩, of a process Q̄/λ1.
    pub readout_second_moment: Estimate,
    /// ⟨v⟩.
    pub readout_mean: Estimate,
    /// ⟨v⁴⟩; the saddle point is silent.
    pub readout_fourth_moment: Option<Estimate>,
    /// ⟨v w·û⟩ = ‖⟨v w⟩‖, with û the direction of the saddle point. Theories of one unit are silent
    /// where the labels name no direction, here and below.
    pub readout_weight_correlation: Option<Estimate>,
    /// ⟨(w·û)²⟩.
    pub weight_second_moment_along_u: Option<Estimate>,
    /// ⟨(w·û)⁴⟩; the saddle point is silent.
    pub weight_fourth_moment_along_u: Option<Estimate>,
    /// D²_ab of the class pairs (0,1), (0,2), …, (1,2), …
    pub centroid_distance_sq: Vec<Estimate>,
    /// R²_a of every class.
    pub gyration_radius_sq: Vec<Estimate>,
    /// D² and R² of the test points; empty unless every class has two of them or more.
    pub centroid_distance_sq_test: Vec<Estimate>,
    pub gyration_radius_sq_test: Vec<Estimate>,
    /// What only [`TheoryKind::PROCESSES`] have.
    pub process: Option<ProcessDetails>,
    /// What only [`TheoryKind::UNITS`] have.
    pub unit: Option<UnitDetails>,
}

/// What a theory that is a Gaussian process over the outputs says beside the observables.
#[derive(Debug, Clone)]
pub struct ProcessDetails {
    /// The order parameters Q and Q̄, and how they were found.
    pub solution: Solution,
    /// S(Q, Q̄).
    pub effective_action: f64,
    /// ln p(y).
    pub log_evidence: f64,
    /// ⟨v w⟩ in the space of the inputs, (N0).
    pub readout_weight_vector: Vec<f64>,
    /// û = c/‖c‖, c = Xᵀ(d∘a), (N0): also at infinite width, where ⟨v w⟩ itself vanishes. Zero if
    /// the labels are.
    pub direction: Vec<f64>,
    /// Reaches of the grids of v and w·û, on which all densities at this temperature are given.
    pub density_reaches: [f64; 2],
}

impl ProcessDetails {
    /// Whether order parameters, action and evidence are finite.
    pub(super) fn is_finite(&self) -> bool {
        [self.solution.q, self.solution.q_bar, self.effective_action, self.log_evidence].iter().all(|x| x.is_finite())
    }
}

impl Prediction {
    /// Every estimate, in a fixed order: the one list of them.
    fn estimates(&mut self) -> impl Iterator<Item = &mut Estimate> {
        let (parameters, vector) = match &mut self.unit {
            Some(unit) => (unit.effective_parameters.as_mut(), unit.readout_weight_vector.as_mut_slice()),
            None => (None, [].as_mut_slice()),
        };
        let scalars = [&mut self.readout_second_moment, &mut self.readout_mean];
        let optional = [
            self.train_loss.as_mut(),
            self.test_bias_squared.as_mut(),
            self.test_variance.as_mut(),
            self.test_mse.as_mut(),
            self.readout_fourth_moment.as_mut(),
            self.readout_weight_correlation.as_mut(),
            self.weight_second_moment_along_u.as_mut(),
            self.weight_fourth_moment_along_u.as_mut(),
            parameters,
        ];
        let lists = [
            self.predictive_mean.as_mut_slice(),
            &mut self.predictive_variance,
            &mut self.centroid_distance_sq,
            &mut self.gyration_radius_sq,
            &mut self.centroid_distance_sq_test,
            &mut self.gyration_radius_sq_test,
            vector,
        ];
        scalars.into_iter().chain(optional.into_iter().flatten()).chain(lists.into_iter().flatten())
    }

    /// The prediction, if every estimate in it is finite.
    ///
    /// # Errors
    /// [`TheoryError::NonFinite`] otherwise.
    pub(super) fn finite(mut self) -> Result<Self, TheoryError> {
        if self.estimates().all(|estimate| estimate.is_finite()) {
            return Ok(self);
        }
        Err(TheoryError::NonFinite { kind: self.kind, temperature: self.temperature })
    }

    /// The mean of predictions of one theory of one unit from independent sets of draws, each with
    /// the same estimates, with the error from their spread.
    ///
    /// # Errors
    /// [`TheoryError::NonFinite`] if the mean is not finite.
    ///
    /// # Panics
    /// Without predictions.
    pub(super) fn combined(mut all: Vec<Self>) -> Result<Self, TheoryError> {
        let sets = all.len() as f64;
        let columns: Vec<Vec<f64>> =
            all.iter_mut().map(|prediction| prediction.estimates().map(|estimate| estimate.value).collect()).collect();
        let units: Vec<UnitDetails> = all.iter_mut().filter_map(|prediction| prediction.unit.take()).collect();
        let mut combined = all.swap_remove(0);
        combined.unit = UnitDetails::combined(units);
        let spread = |k: usize| Estimate::of_independent(&columns.iter().map(|column| column[k]).collect::<Vec<_>>());
        combined.estimates().enumerate().for_each(|(k, estimate)| *estimate = spread(k));
        // The square of a set's own error is no bias of the predictor.
        let means = &combined.predictive_mean;
        let noise = means.iter().map(|f| sets * f.error * f.error).sum::<f64>() / means.len().max(1) as f64;
        for biased in [&mut combined.test_bias_squared, &mut combined.test_mse].into_iter().flatten() {
            biased.value -= noise;
        }
        combined.finite()
    }
}
