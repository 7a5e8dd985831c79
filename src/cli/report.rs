//! `featherm report`: the table of a run, from its directory alone.

use super::args::ReportArgs;
use super::{Failure, print};
use crate::report::table;
use crate::store::read_report;

pub fn report(arguments: &ReportArgs) -> Result<(), Failure> {
    let document = read_report(&arguments.dir)?;
    print(&table(&document));
    Ok(())
}
