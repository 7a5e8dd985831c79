//! What pages are made of: the frame with its style sheet, cards with figures, tables that scroll
//! in their own box.

use std::fmt::Write;

use crate::report::figure::canvas::escape;
use crate::report::figure::{Figure, Numbers, style};

/// A whole page. `mark` names what it is in a `meta` element near the beginning; `body` is markup.
///
/// The policy forbids every fetch: a page that would want one shows an error in the browser's
/// console.
pub fn document(title: &str, mark: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"generator\" content=\"{mark}\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{}</title>\n<style>\n{}\n{}\n@media (prefers-color-scheme:dark){{{}}}\n</style>\n</head>\n<body>\n{body}</body>\n</html>\n",
        escape(title),
        include_str!("style.css").trim_end(),
        style(false),
        style(true)
    )
}

/// Figures side by side where there is room.
pub fn figures(figures: &[Figure]) -> String {
    let cards: String = figures.iter().map(card).collect();
    format!("<div class=\"cards\">\n{cards}</div>\n")
}

fn card(figure: &Figure) -> String {
    let numbers = if figure.numbers.rows.is_empty() {
        String::new()
    } else {
        format!("<details><summary>the numbers</summary>{}</details>\n", table(&figure.numbers))
    };
    format!(
        "<figure id=\"{}\">\n{}\n<figcaption>{}</figcaption>\n{numbers}</figure>\n",
        escape(&figure.name),
        figure.inline(),
        escape(&figure.caption)
    )
}

/// A table whose first column stays in sight. Cells with a line break have their second line small.
pub fn table(numbers: &Numbers) -> String {
    let mut text = String::from("<div class=\"scroll\" tabindex=\"0\"><table>\n<thead><tr>");
    // write! to a String cannot fail.
    for head in &numbers.header {
        let _ = write!(text, "<th scope=\"col\">{}</th>", escape(head));
    }
    text.push_str("</tr></thead>\n<tbody>\n");
    for row in &numbers.rows {
        text.push_str("<tr>");
        for (k, cell) in row.iter().enumerate() {
            let (first, rest) = cell.split_once('\n').unwrap_or((cell, ""));
            let small =
                rest.lines().fold(String::new(), |text, line| text + "<br><small>" + &escape(line) + "</small>");
            let tag = if k == 0 { "th" } else { "td" };
            let _ = write!(text, "<{tag}>{}{small}</{tag}>", escape(first));
        }
        text.push_str("</tr>\n");
    }
    text.push_str("</tbody></table></div>\n");
    text
}

/// Lines of text as a list.
pub fn list(lines: impl IntoIterator<Item = String>) -> String {
    let items: String = lines.into_iter().map(|line| format!("<li>{}</li>\n", escape(&line))).collect();
    if items.is_empty() { items } else { format!("<ul>\n{items}</ul>\n") }
}

/// Text as it stands, in a box of its own.
pub fn block(text: &str) -> String {
    format!("<pre class=\"scroll\" tabindex=\"0\">{}</pre>\n", escape(text))
}
