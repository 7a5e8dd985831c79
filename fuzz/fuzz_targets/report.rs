//! `report.json`, and everything that `featherm report` makes of it.
#![no_main]

use featherm::report::page::{Named, overlay, page};
use featherm::report::{plots, table};
use featherm::store::parse_report;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(document) = parse_report(bytes) else { return };
    table(&document);
    plots(&document);
    page(&document, Err("no matrices".into()), Err("no vectors".into()));
    let run = |name: &str| Named { name: name.into(), document: &document };
    overlay(&[run("a"), run("b")]);
});
