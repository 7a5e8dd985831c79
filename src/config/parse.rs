//! The small notations inside settings: groups of classes and ranges of temperatures.

use super::ConfigError;
use crate::data::ClassGroup;
use crate::remedy::Setting;

/// `a,b` (one label for +1, one for −1) or `a,b/c,d` (labels of the first group +1, of the second
/// −1).
pub fn classes(text: &str) -> Result<Vec<ClassGroup>, ConfigError> {
    let refuse = |requirement: &str| ConfigError::impossible(Setting::Classes, format!("\"{text}\""), requirement);
    let labels = |list: &str| -> Result<Vec<u32>, ConfigError> {
        list.split(',')
            .map(|label| label.trim().parse().map_err(|_| refuse("labels are whole numbers, as in 2,4 or 0,1/8,9")))
            .collect()
    };
    let groups: Vec<Vec<u32>> = match text.split('/').collect::<Vec<_>>()[..] {
        [one] => match labels(one)?[..] {
            [a, b] => vec![vec![a], vec![b]],
            _ => return Err(refuse("name two labels, or group more than two into +1/-1 as in 0,1/8,9")),
        },
        [plus, minus] => vec![labels(plus)?, labels(minus)?],
        _ => return Err(refuse("there are two groups, +1/-1, as in 0,1/8,9")),
    };
    let mut seen = groups.concat();
    seen.sort_unstable();
    if let Some(twice) = seen.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(refuse(&format!("label {} is named twice", twice[0])));
    }
    Ok(groups.into_iter().map(ClassGroup).collect())
}

/// `LO:HI:COUNT`, log-spaced and including both ends.
pub fn temperature_range(text: &str) -> Result<Vec<f64>, ConfigError> {
    let refuse =
        |requirement: &str| ConfigError::impossible(Setting::TemperatureRange, format!("\"{text}\""), requirement);
    let [low, high, count] = text.split(':').map(str::trim).collect::<Vec<_>>()[..] else {
        return Err(refuse("write LO:HI:COUNT, as in 0.01:10:7"));
    };
    let end = |text: &str| match text.parse::<f64>() {
        Ok(t) if t > 0.0 && t.is_finite() => Ok(t),
        _ => Err(refuse("both ends are positive numbers")),
    };
    let (low, high) = (end(low)?, end(high)?);
    let count: usize = count.parse().map_err(|_| refuse("COUNT is a whole number"))?;
    if !(2..=MAX_TEMPERATURES).contains(&count) {
        return Err(refuse(&format!("COUNT lies between 2 and {MAX_TEMPERATURES}")));
    }
    let ratio = (high / low).ln() / (count - 1) as f64;
    // Rounded to twelve digits: a power of ten then reads as one.
    let round = |t: f64| format!("{t:.11e}").parse().unwrap_or(t);
    Ok((0..count).map(|k| round(low * (ratio * k as f64).exp())).collect())
}

/// Longest ladder accepted.
pub const MAX_TEMPERATURES: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_read_as_labels_or_groups() {
        let groups = |text| classes(text).map(|g| g.into_iter().map(|g| g.0).collect::<Vec<_>>());
        assert_eq!(groups("2,4"), Ok(vec![vec![2], vec![4]]));
        assert_eq!(groups(" 0, 1 / 8"), Ok(vec![vec![0, 1], vec![8]]));
        for bad in ["", "2", "2,4,6", "a,b", "2,2", "1,2/2", "1/2/3", "-1,2", "1,", "/"] {
            assert!(groups(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ranges_are_log_spaced_with_exact_ends() {
        assert_eq!(temperature_range("0.01:10:4"), Ok(vec![0.01, 0.1, 1.0, 10.0]));
        assert_eq!(temperature_range("10:0.1:3"), Ok(vec![10.0, 1.0, 0.1]));
        for bad in ["", "1:2", "0:1:3", "1:NaN:3", "1:2:1", "1:inf:4", "1:2:3:4", "1:2:1001", "-1:2:3"] {
            assert!(temperature_range(bad).is_err(), "{bad}");
        }
    }
}
