//! Colours, dashes and markers by what they stand for, chosen to be told apart without colour
//! vision (palette of Okabe and Ito) and without colour.

use super::canvas::{Canvas, coordinate};
use crate::theory::TheoryKind;

/// Whose curve it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    Sampled,
    Theory(TheoryKind),
    /// Pairs of points, or a second sampled number.
    Second,
    Third,
    /// Gradient descent.
    Descent,
    /// One of several runs.
    Run(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    Circle,
    Square,
    Diamond,
    Up,
    Down,
}

/// Light and dark colour of every class of ink. The order of the runs is that of the palette.
const COLOURS: [(&str, &str, &str); 16] = [
    ("sampled", "#222222", "#f2f2f2"),
    ("nngp", "#7a7a7a", "#a0a0a0"),
    ("saddle", "#0072b2", "#56b4e9"),
    ("single-unit", "#d55e00", "#f08a3c"),
    ("adaptive", "#009e73", "#2cc79b"),
    ("second", "#d55e00", "#f08a3c"),
    ("third", "#0072b2", "#56b4e9"),
    ("descent", "#b0508f", "#d68fbd"),
    ("run0", "#0072b2", "#56b4e9"),
    ("run1", "#d55e00", "#f08a3c"),
    ("run2", "#009e73", "#2cc79b"),
    ("run3", "#b0508f", "#d68fbd"),
    ("run4", "#8a6d00", "#e6b91e"),
    ("run5", "#3f7fae", "#8ccdf5"),
    ("run6", "#222222", "#f2f2f2"),
    ("run7", "#7a7a7a", "#a0a0a0"),
];

/// Runs that have a colour of their own.
const RUNS: usize = 8;

impl Ink {
    /// The class in the style sheets.
    pub fn class(self) -> String {
        match self {
            Self::Sampled => "sampled".into(),
            Self::Theory(kind) => kind.name().into(),
            Self::Second => "second".into(),
            Self::Third => "third".into(),
            Self::Descent => "descent".into(),
            Self::Run(k) => format!("run{}", k % RUNS),
        }
    }

    /// Attributes of a group in this ink: `currentColor` inside is its colour, which a style sheet
    /// may change by the class.
    pub fn attributes(self) -> String {
        let class = self.class();
        let colour = COLOURS.iter().find(|(name, ..)| *name == class).map_or("#222222", |(_, light, _)| light);
        format!("class=\"{class}\" color=\"{colour}\"")
    }

    /// The pattern of its lines, as an attribute.
    pub fn dash(self) -> &'static str {
        match self {
            Self::Theory(TheoryKind::Nngp) => "stroke-dasharray=\"2 3\"",
            Self::Theory(TheoryKind::SingleUnit) => "stroke-dasharray=\"7 3\"",
            Self::Theory(TheoryKind::Adaptive) => "stroke-dasharray=\"8 2.5 2 2.5\"",
            Self::Run(k) => {
                ["", "stroke-dasharray=\"7 3\"", "stroke-dasharray=\"8 2.5 2 2.5\"", "stroke-dasharray=\"2 3\""][k % 4]
            }
            _ => "",
        }
    }

    pub fn marker(self) -> Marker {
        const ALL: [Marker; 5] = [Marker::Circle, Marker::Square, Marker::Diamond, Marker::Up, Marker::Down];
        match self {
            Self::Sampled | Self::Theory(TheoryKind::Nngp) => Marker::Circle,
            Self::Theory(TheoryKind::Saddle) | Self::Second => Marker::Square,
            Self::Theory(TheoryKind::SingleUnit) | Self::Third => Marker::Diamond,
            Self::Theory(TheoryKind::Adaptive) => Marker::Up,
            Self::Descent => Marker::Down,
            Self::Run(k) => ALL[k % ALL.len()],
        }
    }
}

/// Rules that set the colour of every class of ink, for light or for dark paper.
pub fn style(dark: bool) -> String {
    COLOURS
        .iter()
        .map(|(class, light, night)| format!(".{class}{{color:{}}}", if dark { night } else { light }))
        .collect()
}

impl Marker {
    /// Draws it in the colour of the group, filled or as an outline that shows the paper.
    pub fn draw(self, canvas: &mut Canvas, [x, y]: [f64; 2], radius: f64, filled: bool) {
        let look = if filled {
            "fill=\"currentColor\" stroke=\"none\""
        } else {
            "class=\"hollow\" fill=\"#fff\" stroke=\"currentColor\" stroke-width=\"1.2\""
        };
        let r = radius;
        match self {
            Self::Circle => {
                let [x, y, r] = [x, y, r].map(coordinate);
                canvas.raw(&format!("<circle cx=\"{x}\" cy=\"{y}\" r=\"{r}\" {look}/>"));
            }
            Self::Square => canvas.rectangle([x - 0.9 * r, y - 0.9 * r], [1.8 * r, 1.8 * r], look),
            Self::Diamond => {
                let r = 1.25 * r;
                canvas.polygon(&[[x, y - r], [x + r, y], [x, y + r], [x - r, y]], look);
            }
            Self::Up => canvas.polygon(&[[x, y - 1.2 * r], [x + 1.15 * r, y + r], [x - 1.15 * r, y + r]], look),
            Self::Down => canvas.polygon(&[[x, y + 1.2 * r], [x + 1.15 * r, y - r], [x - 1.15 * r, y - r]], look),
        }
    }
}
