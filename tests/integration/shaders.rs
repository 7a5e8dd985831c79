//! Every shader, in every variant, is valid WGSL and translates to SPIR-V, MSL and HLSL; its
//! bindings, arguments and workgroup size are those that the host uses, read from the shader
//! itself. No device is needed.

use featherm::backend::gpu::layout::{Call, Layout};
use featherm::backend::gpu::shader::{Kernel, Source};
use featherm::backend::gpu::slots::SLOTS;
use featherm::backend::gpu::tiling::Tiling;
use featherm::backend::gpu::tuning::TILINGS;
use featherm::model::Activation;
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};

const ACTIVATIONS: [Activation; 5] =
    [Activation::Erf, Activation::Relu, Activation::Tanh, Activation::Identity, Activation::Gelu];

fn layout(activation: Activation, tiling: Tiling, half: bool) -> Layout {
    Layout {
        temperatures: 3,
        replicas: 10,
        shard_replicas: 5,
        units: 7,
        points: 9,
        rank: 6,
        test_points: 5,
        complement: 3,
        classes: 2,
        test_manifolds: true,
        batches: 2,
        gram_blocks: 4,
        activation,
        lambda: [1.0, 0.5],
        seed: u64::MAX - 1,
        tiling,
        half,
        integrated: true,
    }
}

/// The smallest sizes at which every kernel has something to do; more units than points take the
/// other half of shaders/linear_system.wgsl.
fn every_layout() -> impl Iterator<Item = Layout> {
    let more_units = |layout: Layout| Layout { units: 14, ..layout };
    TILINGS.into_iter().chain([Tiling::Cooperative, Tiling::Emulated]).flat_map(move |tiling| {
        let own = [false, true]
            .into_iter()
            .flat_map(move |half| ACTIVATIONS.map(|activation| layout(activation, tiling, half)));
        own.chain([false, true].map(|half| more_units(layout(Activation::Erf, tiling, half))))
    })
}

/// The optional features that a kernel was asked to use.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Beyond {
    Nothing,
    Subgroups,
    Matrices,
}

impl Beyond {
    fn of(kernel: Kernel, layout: &Layout) -> Self {
        match layout.tiling {
            Tiling::Subgroup => Self::Subgroups,
            Tiling::Cooperative if matches!(kernel, Kernel::ProductForward | Kernel::ProductBackward) => Self::Matrices,
            _ => Self::Nothing,
        }
    }
}

/// Parses and validates; a failure names fragment and line.
fn validated(source: &Source, beyond: Beyond) -> Result<(naga::Module, ModuleInfo), String> {
    let module = naga::front::wgsl::parse_str(&source.text).map_err(|error| {
        let line = error.location(&source.text).map_or(0, |l| l.line_number as usize);
        format!("{}: {}", source.origin(line), error.message())
    })?;
    // Packing halves into words is the one thing beyond the core, and every Vulkan, Metal and
    // DirectX 12 device has it; subgroups are allowed where they were asked for.
    let mut capabilities = Capabilities::SHADER_FLOAT16_IN_FLOAT32;
    capabilities.set(Capabilities::SUBGROUP, beyond != Beyond::Nothing);
    capabilities.set(Capabilities::COOPERATIVE_MATRIX | Capabilities::SHADER_FLOAT16, beyond == Beyond::Matrices);
    let info = Validator::new(ValidationFlags::all(), capabilities).validate(&module).map_err(|error| {
        let line = error.location(&source.text).map_or(0, |l| l.line_number as usize);
        format!("{}: {}", source.origin(line), error.emit_to_string(&source.text))
    })?;
    Ok((module, info))
}

/// Every kernel in every tiling and storage, with every activation in the first.
#[test]
fn every_shader_validates_and_translates() {
    let first = TILINGS[0];
    translates(every_layout().filter(|layout| layout.activation == Activation::Erf || layout.tiling == first));
}

#[test]
#[ignore = "slow: all two thousand modules"]
fn every_shader_of_every_activation_validates_and_translates() {
    translates(every_layout());
}

fn translates(layouts: impl Iterator<Item = Layout>) {
    for layout in layouts {
        for kernel in Kernel::ALL.into_iter().filter(|kernel| kernel.needed(&layout)) {
            let beyond = Beyond::of(kernel, &layout);
            let what = format!("{kernel:?}, {:?}, {:?}, half {}", layout.activation, layout.tiling, layout.half);
            let (module, info) =
                validated(&kernel.source(&layout), beyond).unwrap_or_else(|error| panic!("{what}: {error}"));
            // Subgroups came with SPIR-V 1.3 (Vulkan 1.1), MSL 2.1 and shader model 6.0,
            // cooperative matrices with MSL 2.3.
            let mut options = naga::back::spv::Options::default();
            if beyond != Beyond::Nothing {
                options.lang_version = (1, 3);
            }
            let spirv = naga::back::spv::write_vec(&module, &info, &options, None);
            assert!(!spirv.unwrap_or_else(|e| panic!("{what}: {e}")).is_empty());
            let mut options = naga::back::msl::Options { fake_missing_bindings: true, ..Default::default() };
            match beyond {
                Beyond::Nothing => {}
                Beyond::Subgroups => options.lang_version = (2, 1),
                Beyond::Matrices => options.lang_version = (2, 3),
            }
            let msl = naga::back::msl::write_string(&module, &info, &options, &Default::default());
            assert!(!msl.unwrap_or_else(|e| panic!("{what}: {e}")).0.is_empty());
            if beyond == Beyond::Matrices {
                // DirectX 12 has none.
                continue;
            }
            let mut options = naga::back::hlsl::Options { fake_missing_bindings: true, ..Default::default() };
            if beyond == Beyond::Subgroups {
                options.shader_model = naga::back::hlsl::ShaderModel::V6_0;
            }
            let mut hlsl = String::new();
            naga::back::hlsl::Writer::new(&mut hlsl, &options, &Default::default())
                .write(&module, &info, None)
                .unwrap_or_else(|e| panic!("{what}: {e}"));
            assert!(!hlsl.is_empty());
        }
    }
}

#[test]
fn arguments_bindings_and_workgroups_are_the_hosts() {
    let layout = layout(Activation::Erf, Tiling::Cooperative, false);
    for kernel in Kernel::ALL {
        assert!(kernel.needed(&layout), "{kernel:?}");
        let (module, _) = validated(&kernel.source(&layout), Beyond::of(kernel, &layout)).unwrap();
        for (_, global) in module.global_variables.iter() {
            let Some(binding) = &global.binding else { continue };
            assert_eq!(binding.group, 0);
            let expected = &featherm::backend::gpu::BINDINGS[binding.binding as usize];
            let read_only = match global.space {
                naga::AddressSpace::Uniform => None,
                naga::AddressSpace::Storage { access } => Some(!access.contains(naga::StorageAccess::STORE)),
                other => panic!("{kernel:?}: a binding in {other:?}"),
            };
            assert_eq!((global.name.as_deref(), read_only), (Some(expected.name), expected.read_only), "{kernel:?}");
        }
        let (_, call) = module.types.iter().find(|(_, t)| t.name.as_deref() == Some("Call")).expect("Call is declared");
        let naga::TypeInner::Struct { members, span } = &call.inner else { panic!("Call is not a struct") };
        assert_eq!(*span as usize, size_of::<Call>());
        let offsets: Vec<_> = members.iter().map(|m| (m.name.as_deref().unwrap_or(""), m.offset as usize)).collect();
        macro_rules! fields {
            ($($field:ident),*) => { vec![$((stringify!($field), std::mem::offset_of!(Call, $field))),*] };
        }
        assert_eq!(offsets, fields![trajectory, step, round, first_replica, replicas, section, which, zero]);
        let entry = module.entry_points.iter().find(|e| e.name == kernel.entry()).expect("the entry point exists");
        assert_eq!(entry.workgroup_size, [kernel.lanes(&layout) as u32, 1, 1], "{kernel:?}");
    }
}

/// A slot that no kernel names would be a number that only the host knows.
#[test]
fn kernels_name_every_slot_with_the_hosts_number() {
    let layout = layout(Activation::Erf, Tiling::Register(8), false);
    let kernels = Kernel::ALL.into_iter().filter(|kernel| kernel.needed(&layout));
    let sources: Vec<String> = kernels.map(|kernel| kernel.source(&layout).text).collect();
    let defined = |name: &str, number: usize| {
        let line = format!("const {name} = {number}u;");
        sources.iter().any(|text| text.lines().any(|found| found == line))
    };
    for &(name, number) in SLOTS {
        assert!(defined(name, number), "{name}");
        assert!(!defined(name, number + 1), "{name}, the control");
    }
}

#[test]
fn nothing_but_the_subgroup_tiling_needs_subgroups() {
    let layout = layout(Activation::Erf, Tiling::Subgroup, false);
    for kernel in Kernel::ALL.into_iter().filter(|kernel| kernel.needed(&layout)) {
        let refused = validated(&kernel.source(&layout), Beyond::Nothing).is_err();
        assert_eq!(refused, kernel.is_product(), "{kernel:?}");
    }
}

#[test]
fn nothing_but_two_products_needs_cooperative_matrices() {
    let layout = layout(Activation::Erf, Tiling::Cooperative, false);
    for kernel in Kernel::ALL {
        let refused = validated(&kernel.source(&layout), Beyond::Subgroups).is_err();
        assert_eq!(refused, Beyond::of(kernel, &layout) == Beyond::Matrices, "{kernel:?}");
    }
}

#[test]
fn tiles_take_the_workgroup_memory_that_the_host_reckons_with() {
    for block in [4, 8] {
        let layout = layout(Activation::Erf, Tiling::Workgroup(block), false);
        let (module, _) = validated(&Kernel::Forward.source(&layout), Beyond::Nothing).unwrap();
        let workgroup = module.global_variables.iter().filter(|(_, g)| g.space == naga::AddressSpace::WorkGroup);
        let mut layouter = naga::proc::Layouter::default();
        layouter.update(module.to_ctx()).unwrap();
        let bytes: u32 = workgroup.map(|(_, g)| layouter[g.ty].size).sum();
        assert_eq!(bytes as usize, layout.tiling.workgroup_bytes());
    }
}

#[test]
fn errors_name_the_fragment_and_its_line() {
    let layout = layout(Activation::Erf, Tiling::Register(8), false);
    let mut source = Kernel::Residual.source(&layout);
    source.push("shaders/broken.wgsl", "// fine\nfn broken() -> f32 {\n    return 1u;\n}\n");
    let error = validated(&source, Beyond::Nothing).unwrap_err();
    assert!(error.starts_with("shaders/broken.wgsl:"), "{error}");
}
