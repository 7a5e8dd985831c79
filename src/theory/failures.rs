//! The failures of a ladder in as few lines as there are causes.

use super::saddle::SaddleError;
use super::unit::UnitError;
use super::{Kind, TheoryError};

/// What makes one failure the same as another at another temperature.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Cause {
    Unstable { kind: Kind, near: f64 },
    Below { kind: Kind, lost_at: f64 },
    BranchLost { at: f64 },
    NonFinite { kind: Kind },
}

/// The cause of a failure that one temperature shares with the next, and the temperature.
fn cause(failure: &TheoryError) -> Option<(Cause, f64)> {
    match *failure {
        TheoryError::Unit(UnitError::Unstable { kind, temperature, near }) => {
            Some((Cause::Unstable { kind, near }, temperature))
        }
        TheoryError::Unit(UnitError::Below { kind, temperature, lost_at }) => {
            Some((Cause::Below { kind, lost_at }, temperature))
        }
        TheoryError::Saddle(SaddleError::BranchLost { temperature, lost_at }) => {
            Some((Cause::BranchLost { at: lost_at }, temperature))
        }
        TheoryError::NonFinite { kind, temperature } => Some((Cause::NonFinite { kind }, temperature)),
        _ => None,
    }
}

/// One message for every cause, which names all temperatures that share it, in the order given.
pub fn messages(failures: &[TheoryError]) -> Vec<String> {
    let mut groups: Vec<(&TheoryError, Vec<f64>)> = Vec::new();
    for failure in failures {
        let found = cause(failure);
        let same =
            |first: &TheoryError| found.is_some() && cause(first).map(|(cause, _)| cause) == found.map(|(c, _)| c);
        match (groups.iter_mut().find(|(first, _)| same(first)), found) {
            (Some((_, at)), Some((_, temperature))) => {
                // A lost branch of the saddle point fails the theory of one unit in its field too.
                if !at.contains(&temperature) {
                    at.push(temperature);
                }
            }
            _ => groups.push((failure, found.into_iter().map(|(_, temperature)| temperature).collect())),
        }
    }
    let line = |(first, at): &(&TheoryError, Vec<f64>)| match at.get(1..) {
        Some(others) if !others.is_empty() => {
            let others: Vec<String> = others.iter().map(|t| format!("{t:.3e}")).collect();
            format!("{first}; the same at T = {}", others.join(", "))
        }
        _ => first.to_string(),
    };
    groups.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_named_once_with_all_its_temperatures() {
        let unstable = |kind, temperature| UnitError::Unstable { kind, temperature, near: 0.5 }.into();
        let branch = |temperature| SaddleError::BranchLost { temperature, lost_at: 0.3 }.into();
        let unsettled = |temperature| UnitError::Unsettled { kind: Kind::Adaptive, temperature, drift: 9.0 }.into();
        let failures = [
            branch(0.2),
            unstable(Kind::SingleUnit, 0.5),
            unstable(Kind::SingleUnit, 0.25),
            branch(0.2),
            branch(0.1),
            unstable(Kind::Adaptive, 0.25),
            unsettled(0.7),
            unsettled(0.6),
        ];
        let found = messages(&failures);
        let alone = |k: usize| failures[k].to_string();
        let expected = [
            format!("{}; the same at T = 1.000e-1", alone(0)),
            format!("{}; the same at T = 2.500e-1", alone(1)),
            alone(5),
            alone(6),
            alone(7),
        ];
        assert_eq!(found, expected);
        assert!(messages(&[]).is_empty());
    }
}
