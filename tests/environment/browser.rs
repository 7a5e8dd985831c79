//! The report as a browser shows it: without an error in the console, without overflow at the width
//! of a phone, with every figure and every label of it inside its frame.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::Failed;
use serde_json::Value;
use tempfile::TempDir;

use crate::{Need, Test, Trials};

/// Width of the narrowest phone that the page is made for.
const PHONE: u32 = 360;

fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&path).flat_map(|dir| names.map(|name| dir.join(name))).find(|file| file.is_file())
}

/// Adds the tests of the page.
pub fn add(trials: &mut Trials) {
    let browser = browser();
    let need = Need { what: "Chromium", variable: "FEATHERM_REQUIRE_CHROMIUM", there: browser.is_some() };
    let mut group = trials.group("browser", &need);
    type Body = fn(&Path) -> Test;
    let tests: [(&str, Body); 4] = [
        ("a_report_is_sound_at_every_width", a_report_is_sound_at_every_width),
        ("a_comparison_is_sound_on_a_phone", a_comparison_is_sound_on_a_phone),
        ("a_descent_is_sound_on_a_phone", a_descent_is_sound_on_a_phone),
        ("broken_pages_are_caught", broken_pages_are_caught),
    ];
    for (name, test) in tests {
        let browser = browser.clone();
        group.slow(name, move || test(&browser.ok_or("no browser")?));
    }
}

/// What a browser finds in a page.
#[derive(Debug)]
struct Seen {
    /// Errors and warnings in the console.
    console: Vec<String>,
    /// Pixels by which the page is wider than its window.
    overflow: f64,
    figures: u64,
    /// Figures that take no room, and labels that reach out of their figure.
    invisible: u64,
    clipped: Vec<String>,
}

impl Seen {
    fn complaints(&self) -> Vec<String> {
        let mut complaints = self.console.clone();
        if self.overflow > 0.0 {
            complaints.push(format!("{} pixels of overflow", self.overflow));
        }
        if self.figures == 0 || self.invisible > 0 {
            complaints.push(format!("{} of {} figures cannot be seen", self.invisible, self.figures));
        }
        complaints.extend(self.clipped.iter().map(|label| format!("clipped: {label}")));
        complaints
    }
}

/// Opens a page in a frame of `width` pixels. A window would not do: browsers do not make them as
/// narrow as a phone.
fn look(browser: &Path, page: &Path, width: u32) -> Result<Seen, Failed> {
    const PROBE: &str = r#"onload = () => {
        const page = document.getElementById('page').contentDocument, root = page.documentElement;
        const figures = [...page.querySelectorAll('figure > svg')], seen = {clipped: [], invisible: 0};
        seen.overflow = Math.max(root.scrollWidth, page.body.scrollWidth) - root.clientWidth;
        seen.figures = figures.length;
        for (const figure of figures) {
            const frame = figure.getBoundingClientRect();
            if (frame.width < 200 || frame.height < 150) seen.invisible += 1;
            for (const label of figure.querySelectorAll('text')) {
                const box = label.getBoundingClientRect();
                if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 || box.bottom > frame.bottom + 1)
                    seen.clipped.push(label.textContent);
            }
        }
        document.getElementById('seen').textContent = encodeURIComponent(JSON.stringify(seen));
    }"#;
    let place = TempDir::new()?;
    let harness = place.path().join("harness.html");
    let url = format!("file://{}", page.display());
    fs::write(
        &harness,
        format!(
            "<!DOCTYPE html><body><iframe id=\"page\" src=\"{url}\" style=\"width:{width}px;height:800px;border:0\"></iframe>\
             <p id=\"seen\"></p><script>{PROBE}</script></body>"
        ),
    )?;
    let output = Command::new(browser)
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--enable-logging=stderr", "--v=0"])
        .args(["--allow-file-access-from-files", "--window-size=1400,900", "--dump-dom"])
        .arg(format!("--user-data-dir={}", place.path().join("profile").display()))
        .arg(format!("file://{}", harness.display()))
        .output()?;
    let (dom, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let encoded =
        dom.split_once("<p id=\"seen\">").and_then(|(_, rest)| rest.split_once("</p>")).map_or("", |(text, _)| text);
    let text = decoded(encoded);
    let seen: Value = serde_json::from_str(&text).map_err(|_| format!("the page was not looked at:\n{log}"))?;
    let clipped = seen["clipped"].as_array().into_iter().flatten().map(|label| label.to_string());
    Ok(Seen {
        console: log.lines().filter(|line| line.contains("CONSOLE")).map(String::from).collect(),
        overflow: seen["overflow"].as_f64().ok_or("no overflow")?,
        figures: seen["figures"].as_u64().ok_or("no figures")?,
        invisible: seen["invisible"].as_u64().ok_or("no invisible")?,
        clipped: clipped.collect(),
    })
}

/// Undoes `encodeURIComponent`.
fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        bytes.extend(part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()));
        bytes.extend(part.get(2..).unwrap_or_default().bytes());
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A run small enough for a test.
fn run(dir: &Path, name: &str, arguments: &[&str]) -> Result<PathBuf, Failed> {
    let out = dir.join(name);
    let small = ["--train", "20", "--width", "10", "--test", "8", "--chains", "4", "--warmup", "20", "--draws", "20"];
    featherm(&[&["run", "--out", &out.display().to_string()], &small[..], arguments].concat())?;
    Ok(out)
}

fn featherm(arguments: &[&str]) -> Test {
    let output = Command::new(assert_cmd::cargo::cargo_bin!("featherm")).args(arguments).output()?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned().into()) }
}

fn sound(browser: &Path, page: &Path, width: u32) -> Test {
    let seen = look(browser, page, width)?;
    let complaints = seen.complaints();
    if complaints.is_empty() { Ok(()) } else { Err(format!("at {width} pixels: {complaints:#?}").into()) }
}

/// The report, with names from the data that would be markup, and its figures as files.
fn a_report_is_sound_at_every_width(browser: &Path) -> Test {
    let dir = TempDir::new()?;
    let run = run(dir.path(), "run", &["--temperature-range", "0.05:10:5"])?;
    let report = run.join("report.json");
    let text = fs::read_to_string(&report)?;
    fs::write(
        &report,
        text.replace("digits (built in)", "</p><script>document.title='x'</script><img src=x onerror=alert(1)>"),
    )?;
    featherm(&["report", &run.display().to_string()])?;
    for width in [PHONE, 1280] {
        sound(browser, &run.join("report.html"), width)?;
    }
    Ok(())
}

fn a_comparison_is_sound_on_a_phone(browser: &Path) -> Test {
    let dir = TempDir::new()?;
    let one = run(dir.path(), "one", &["--temperatures", "1,0.1", "--seed", "1"])?;
    let two = run(dir.path(), "two", &["--temperatures", "1,0.1", "--seed", "2", "--activation", "relu"])?;
    let page = dir.path().join("overlay.html");
    let [one, two, out] = [&one, &two, &page].map(|path| path.display().to_string());
    featherm(&["report", &one, &two, "--out", &out])?;
    sound(browser, &page, PHONE)
}

fn a_descent_is_sound_on_a_phone(browser: &Path) -> Test {
    let dir = TempDir::new()?;
    let run = run(dir.path(), "run", &["--temperatures", "10,1,0.1"])?;
    let (config, out) = (run.join("config.toml"), dir.path().join("descent"));
    let [config, run, to] = [&config, &run, &out].map(|path| path.display().to_string());
    featherm(&["descend", "--config", &config, "--descent-steps", "300", "--out", &to, "--run", &run])?;
    sound(browser, &out.join("descent.html"), PHONE)
}

/// The control: a page that is too wide, one that asks for a script, and one with a label beyond
/// the edge of its figure.
fn broken_pages_are_caught(browser: &Path) -> Test {
    let dir = TempDir::new()?;
    let run = run(dir.path(), "run", &["--temperatures", "1,0.1"])?;
    let good = fs::read_to_string(run.join("report.html"))?;
    let spoilt = |from: &str, to: &str| -> Result<Seen, Failed> {
        let page = dir.path().join("spoilt.html");
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good, "{from} is not in the page");
        fs::write(&page, text)?;
        look(browser, &page, PHONE)
    };
    let wide = spoilt("<main>", "<main><div style=\"width:500px\">wide</div>")?;
    assert!(wide.overflow > 100.0 && wide.console.is_empty(), "{wide:?}");
    let script = spoilt("<main>", "<main><script>throw new Error('control')</script>")?;
    assert!(!script.console.is_empty(), "{script:?}");
    let label = spoilt(
        "</svg>\n<figcaption>",
        "<text x=\"390\" y=\"50\" font-size=\"12\">beyond the edge</text></svg>\n<figcaption>",
    )?;
    assert!(label.clipped.len() == 1 && label.overflow == 0.0, "{label:?}");
    Ok(())
}
