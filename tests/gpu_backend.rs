use featherm::backend::gpu::{self, AdapterChoice};
fn main() {
    for a in gpu::adapters() { println!("{a} {a:?}"); }
    let t = std::time::Instant::now();
    for check in gpu::doctor::doctor(&AdapterChoice::Index(0)).unwrap_or_else(|e| panic!("{e}")) {
        println!("{:24} {:10.2e} {:10.2e} {}", check.stage, check.deviation, check.tolerance, check.passed());
    }
    println!("{:?}", t.elapsed());
}
