//! Linear and logarithmic scales with readable ticks.

/// A scale from data to user units.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    log: bool,
    data: [f64; 2],
    units: [f64; 2],
}

/// A mark on an axis; one without label is a minor one.
#[derive(Debug, Clone, PartialEq)]
pub struct Tick {
    pub value: f64,
    pub label: Option<String>,
}

/// What one scale covers of the values that it is to show, with a margin; `None` where none of them
/// can be shown. A single value gets room around it.
pub fn covering(values: impl IntoIterator<Item = f64>, log: bool) -> Option<[f64; 2]> {
    let shown = values.into_iter().filter(|x| x.is_finite() && (!log || *x > 0.0));
    let [low, high] = shown
        .fold(None, |range: Option<[f64; 2]>, x| Some(range.map_or([x, x], |[low, high]| [low.min(x), high.max(x)])))?;
    if log {
        let margin = if high / low < 1.0 + 1e-9 { 3.0 } else { (high / low).powf(0.05) };
        // At the ends of the range of floats a margin would leave it.
        return Some([(low / margin).max(f64::MIN_POSITIVE), (high * margin).min(f64::MAX)]);
    }
    let span = high - low;
    let margin = if span > 1e-9 * low.abs().max(high.abs()) { 0.06 * span } else { (0.1 * high.abs()).max(1e-6) };
    Some([low - margin, high + margin]).filter(|range| range.iter().all(|x| x.is_finite()))
}

impl Scale {
    /// From `data` (ascending, positive if `log`) to `units`.
    pub fn new(log: bool, data: [f64; 2], units: [f64; 2]) -> Self {
        Self { log, data, units }
    }

    /// The place of a value; `None` for what the scale has no place for.
    pub fn at(&self, value: f64) -> Option<f64> {
        if !value.is_finite() || (self.log && value <= 0.0) {
            return None;
        }
        let along = |x: f64| if self.log { x.ln() } else { x };
        let [low, high] = self.data.map(along);
        let fraction = (along(value) - low) / (high - low);
        let place = self.units[0] + fraction * (self.units[1] - self.units[0]);
        place.is_finite().then_some(place)
    }

    /// The place of a value, or the end of the scale beyond which it would be.
    pub fn clamped(&self, value: f64) -> Option<f64> {
        let value = if self.log && value <= 0.0 { self.data[0] } else { value };
        self.at(value.clamp(self.data[0], self.data[1]))
    }

    pub fn contains(&self, value: f64) -> bool {
        (self.data[0]..=self.data[1]).contains(&value)
    }

    /// Ticks inside the range, about `most` labels at most, and at least two.
    pub fn ticks(&self, most: usize) -> Vec<Tick> {
        if self.log { self.log_ticks(most) } else { self.linear_ticks(most) }
    }

    fn linear_ticks(&self, most: usize) -> Vec<Tick> {
        let [low, high] = self.data;
        let rough = (high - low) / most.max(2) as f64;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * power).into_iter().find(|s| *s >= rough * 0.999).unwrap_or(rough);
        let first = (low / step).ceil() as i64;
        let last = (high / step).floor() as i64;
        let decimals = (-(step * 1.001).log10().floor()).max(0.0) as usize;
        let large = low.abs().max(high.abs());
        // Labels share one power of ten where they would be long.
        let shared = (!(1e-3..1e6).contains(&large)).then(|| large.log10().floor() as i32);
        let label = |value: f64| match shared {
            Some(0) | None => plain(value, decimals),
            Some(power) => {
                let unit = 10f64.powi(power);
                let places = (-(step / unit * 1.001).log10().floor()).max(0.0) as usize;
                if value == 0.0 { "0".into() } else { format!("{}·{}", plain(value / unit, places), ten_to(power)) }
            }
        };
        (first..=last.min(first.saturating_add(100)))
            .map(|k| k as f64 * step)
            .map(|value| Tick { value, label: Some(label(value)) })
            .collect()
    }

    fn log_ticks(&self, most: usize) -> Vec<Tick> {
        let [low, high] = self.data;
        let decades = (low.log10().ceil() as i32)..=(high.log10().floor() as i32);
        let whole = decades.clone().count();
        if whole >= 2 {
            let stride = whole.div_ceil(most.max(2)) as i32;
            let mut ticks = Vec::new();
            for power in decades.start() - 1..=*decades.end() {
                for digit in 1..10 {
                    let value = f64::from(digit) * 10f64.powi(power);
                    let labelled = digit == 1 && power.rem_euclid(stride) == 0;
                    // Beyond some decades minor ticks are a grey smear.
                    if self.contains(value) && (labelled || (stride == 1 && whole <= 8) || digit == 1) {
                        ticks.push(Tick { value, label: labelled.then(|| power_label(power)) });
                    }
                }
            }
            return ticks;
        }
        let below = low.log10().floor() as i32;
        let mut ticks: Vec<Tick> = (below..=below + 2)
            .flat_map(|power| [1.0, 2.0, 5.0].map(|digit| (digit, power)))
            .filter(|(digit, power)| self.contains(digit * 10f64.powi(*power)))
            .map(|(digit, power)| Tick { value: digit * 10f64.powi(power), label: Some(digit_label(digit, power)) })
            .collect();
        if ticks.len() < 2 {
            ticks = self.linear_ticks(most);
        }
        ticks
    }
}

/// Powers that are shorter written out.
fn is_short(power: i32) -> bool {
    (-3..=4).contains(&power)
}

fn power_label(power: i32) -> String {
    if is_short(power) { plain(10f64.powi(power), (-power).max(0) as usize) } else { ten_to(power) }
}

fn digit_label(digit: f64, power: i32) -> String {
    if is_short(power) {
        plain(digit * 10f64.powi(power), (-power).max(0) as usize)
    } else {
        format!("{digit}·{}", ten_to(power))
    }
}

/// With a real minus sign.
fn plain(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('-') {
        Some(digits) if digits.chars().all(|c| c == '0' || c == '.') => digits.into(),
        Some(digits) => format!("−{digits}"),
        None => text,
    }
}

/// Two digits and a power of ten.
pub fn scientific(value: f64) -> String {
    let text = format!("{value:.1e}");
    match text.split_once('e').and_then(|(digits, power)| Some((digits, power.parse().ok()?))) {
        Some((digits, power)) => format!("{}·{}", digits.replace('-', "−"), ten_to(power)),
        None => text,
    }
}

fn ten_to(power: i32) -> String {
    let digits = power.to_string();
    let raised = digits.chars().map(|c| match c {
        '-' => '⁻',
        digit => ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'][digit.to_digit(10).unwrap_or(0) as usize],
    });
    format!("10{}", raised.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(log: bool, low: f64, high: f64) -> Vec<String> {
        Scale::new(log, [low, high], [0.0, 1.0]).ticks(6).into_iter().filter_map(|tick| tick.label).collect()
    }

    #[test]
    fn ticks_are_round_numbers() {
        assert_eq!(labels(false, 0.0, 1.0), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(false, -212.0, -41.0), ["−200", "−150", "−100", "−50"]);
        assert_eq!(labels(false, 1.1e-5, 3.2e-5), ["1.5·10⁻⁵", "2.0·10⁻⁵", "2.5·10⁻⁵", "3.0·10⁻⁵"]);
        assert_eq!(labels(true, 0.015, 12.0), ["0.1", "1", "10"]);
        assert_eq!(labels(true, 1e-6, 1e4), ["10⁻⁶", "10⁻⁴", "0.01", "1", "100", "10000"]);
        assert_eq!(labels(true, 0.3, 3.0), ["0.5", "1", "2"]);
    }

    /// On any range that data may have there are at least two labels, none twice, and all inside.
    #[test]
    fn every_range_has_labels() {
        for exponent in -12..12 {
            for (low, high) in [(1.0, 1.3), (1.0, 2.0), (1.0, 30.0), (9.0, 11.0), (1.0, 1e5)] {
                let (low, high) = (low * 10f64.powi(exponent), high * 10f64.powi(exponent));
                for log in [false, true] {
                    let scale = Scale::new(log, [low, high], [0.0, 100.0]);
                    let ticks = scale.ticks(6);
                    assert!(ticks.iter().all(|tick| (-1e-9..=100.0 + 1e-9).contains(&scale.at(tick.value).unwrap())));
                    let mut labels: Vec<_> = ticks.into_iter().filter_map(|tick| tick.label).collect();
                    let count = labels.len();
                    labels.sort();
                    labels.dedup();
                    assert!(count == labels.len() && (2..=12).contains(&count), "{low} to {high}: {labels:?}");
                }
            }
        }
    }

    #[test]
    fn what_has_no_place_is_told() {
        let scale = Scale::new(true, [0.1, 10.0], [0.0, 100.0]);
        assert!(scale.at(1.0).is_some_and(|place| (place - 50.0).abs() < 1e-9));
        assert!(scale.at(0.0).is_none() && scale.at(f64::NAN).is_none() && scale.at(f64::INFINITY).is_none());
        assert_eq!(covering([f64::NAN, -1.0], true), None);
        assert_eq!(covering([], false), None);
        let [low, high] = covering([2.0, f64::NAN, 2.0], false).unwrap();
        assert!(low < 2.0 && high > 2.0);
    }
}
