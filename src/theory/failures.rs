//! The failures of a ladder, and how to say them in as few lines as there are causes.

use super::saddle::SaddleError;
use super::unit::UnitError;
use super::{TheoryError, TheoryKind};

/// A theory that has no solution at a temperature.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    pub kind: TheoryKind,
    pub temperature: f64,
    pub error: TheoryError,
}

/// What makes one failure the same as another at another temperature.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Cause {
    Unstable { kind: TheoryKind, near: f64 },
    Below { kind: TheoryKind, lost_at: f64 },
    BranchLost { at: f64 },
    NonFinite { kind: TheoryKind },
}

/// The cause of a failure that one temperature shares with the next, and the temperature.
fn cause(error: &TheoryError) -> Option<(Cause, f64)> {
    match *error {
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
pub fn messages(failures: &[Failure]) -> Vec<String> {
    let mut groups: Vec<(&TheoryError, Vec<f64>)> = Vec::new();
    for Failure { error, .. } in failures {
        let found = cause(error);
        let same =
            |first: &TheoryError| found.is_some() && cause(first).map(|(cause, _)| cause) == found.map(|(c, _)| c);
        match (groups.iter_mut().find(|(first, _)| same(first)), found) {
            (Some((_, at)), Some((_, temperature))) => {
                // A lost branch of the saddle point fails the theory of one unit in its field too.
                if !at.contains(&temperature) {
                    at.push(temperature);
                }
            }
            _ => groups.push((error, found.into_iter().map(|(_, temperature)| temperature).collect())),
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
        let unstable = |kind, temperature| {
            let error = UnitError::Unstable { kind, temperature, near: 0.5 }.into();
            Failure { kind, temperature, error }
        };
        let branch = |kind, temperature| {
            let error = SaddleError::BranchLost { temperature, lost_at: 0.3 }.into();
            Failure { kind, temperature, error }
        };
        let unsettled = |temperature| {
            let kind = TheoryKind::Adaptive;
            Failure { kind, temperature, error: UnitError::Unsettled { kind, temperature, drift: 9.0 }.into() }
        };
        let failures = [
            branch(TheoryKind::Saddle, 0.2),
            unstable(TheoryKind::SingleUnit, 0.5),
            unstable(TheoryKind::SingleUnit, 0.25),
            branch(TheoryKind::SingleUnit, 0.2),
            branch(TheoryKind::SingleUnit, 0.1),
            unstable(TheoryKind::Adaptive, 0.25),
            unsettled(0.7),
            unsettled(0.6),
        ];
        let found = messages(&failures);
        let alone = |k: usize| failures[k].error.to_string();
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
