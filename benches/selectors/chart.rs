//! The chart: the cost of an echo against the number of idle sockets, both axes logarithmic.
//!
//! It has two panels side by side, for the whole runtime and for the bare layer. The colours are for paper; a style
//! sheet at the head of the file replaces some of them for readers who prefer a dark page.

use std::error::Error;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::FontTransform;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use runtime::selector::Kind;

use super::report::thousands;
use super::scale::Curve;
use super::servers::Layer;

const SIZE: (u32, u32) = (960, 420);

const PAPER: RGBColor = RGBColor(255, 255, 255);
const INK: RGBColor = RGBColor(31, 35, 40);
const GRID: RGBColor = RGBColor(222, 226, 231);

/// Three colours as plotters writes them, and what they become on a dark page.
const DARK: [(&str, &str); 3] = [("#FFFFFF", "#0D1117"), ("#1F2328", "#E6EDF3"), ("#DEE2E7", "#30363D")];

const FONT: &str = "sans-serif";

/// Draws the chart as SVG.
pub(crate) fn draw(curves: &[Curve]) -> Result<String, Box<dyn Error>> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        root.fill(&PAPER)?;
        let panels = root.split_evenly((1, 2));
        let scale = Scale::of(curves);
        panel(&panels[0], "through the whole runtime", &scale, curves, Layer::Runtime)?;
        panel(&panels[1], "bare selector layer", &scale, curves, Layer::Bare)?;
        root.present()?;
    }
    Ok(with_dark_page(&svg))
}

/// The ends of both axes, the same for both panels.
struct Scale {
    idle: std::ops::Range<f64>,
    cost: std::ops::Range<f64>,
}

impl Scale {
    fn of(curves: &[Curve]) -> Scale {
        let points = || curves.iter().flat_map(places);
        let most = |of: fn((f64, f64)) -> f64| points().map(of).fold(f64::MIN, f64::max);
        let least = |of: fn((f64, f64)) -> f64| points().map(of).fold(f64::MAX, f64::min);
        let idle = |point: (f64, f64)| point.0;
        let cost = |point: (f64, f64)| point.1;
        Scale { idle: least(idle) / 1.3..most(idle) * 5.0, cost: least(cost) / 2.0..most(cost) * 2.0 }
    }
}

/// Returns the numbers of sockets, and the microseconds.
fn places(curve: &Curve) -> impl Iterator<Item = (f64, f64)> {
    curve.points().map(|(idle, samples)| (idle as f64, samples.median() / 1e3))
}

type Panel<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn panel(
    area: &Panel<'_>,
    title: &str,
    scale: &Scale,
    curves: &[Curve],
    layer: Layer,
) -> Result<(), Box<dyn Error>> {
    let small = (FONT, 13).into_font().color(&INK);
    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONT, 17).into_font().color(&INK))
        .margin(12)
        .x_label_area_size(42)
        .y_label_area_size(64)
        .build_cartesian_2d(scale.idle.clone().log_scale(), scale.cost.clone().log_scale())?;
    chart
        .configure_mesh()
        .x_desc("idle sockets beside the active one")
        .y_desc("CPU time of the server for one echo")
        .axis_style(INK)
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .label_style(small.clone())
        .axis_desc_style(small.clone())
        .x_label_formatter(&|idle| thousands(*idle))
        .y_label_formatter(&|cost| cost_label(*cost))
        .draw()?;
    for curve in curves.iter().filter(|curve| curve.layer == layer) {
        let Look { colour, width, label_above } = Look::of(curve.kind);
        let points: Vec<(f64, f64)> = places(curve).collect();
        chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(width)))?;
        chart.draw_series(points.iter().map(|&point| Circle::new(point, width + 1, colour.filled())))?;
        let Some(&end) = points.last() else { continue };
        let (x, y) = chart.backend_coord(&end);
        let (x, y) = (x - area.get_pixel_range().0.start, y - area.get_pixel_range().1.start);
        let anchor = Pos::new(HPos::Left, if label_above { VPos::Bottom } else { VPos::Top });
        let style = (FONT, 14).into_font().transform(FontTransform::None).color(&colour).pos(anchor);
        area.draw_text(curve.kind.name(), &style, (x + 8, if label_above { y } else { y - 2 }))?;
    }
    Ok(())
}

fn cost_label(microseconds: f64) -> String {
    if microseconds < 1000.0 { format!("{microseconds} µs") } else { format!("{} ms", microseconds / 1e3) }
}

/// The appearance of a mechanism's line.
struct Look {
    colour: RGBColor,
    width: u32,
    /// If false, the label is below the line, so that no two labels overlap, nor a label and another line.
    label_above: bool,
}

impl Look {
    /// Returns colours that can be distinguished on paper and on a dark page.
    fn of(kind: Kind) -> Look {
        match kind {
            Kind::Epoll => Look { colour: RGBColor(47, 129, 247), width: 3, label_above: false },
            Kind::EpollLevel => Look { colour: RGBColor(26, 160, 120), width: 2, label_above: true },
            Kind::Poll => Look { colour: RGBColor(224, 123, 0), width: 3, label_above: true },
            Kind::Select => Look { colour: RGBColor(219, 70, 90), width: 3, label_above: false },
            _ => Look { colour: RGBColor(150, 100, 220), width: 3, label_above: true },
        }
    }
}

/// Adds the style sheet. The chart keeps its own background, so the text is legible even where the preferences of
/// page and reader differ.
fn with_dark_page(svg: &str) -> String {
    let rules: String = DARK
        .iter()
        .map(|(light, dark)| {
            format!("[fill=\"{light}\"] {{ fill: {dark} }} [stroke=\"{light}\"] {{ stroke: {dark} }}\n")
        })
        .collect();
    let style = format!("<style>\n@media (prefers-color-scheme: dark) {{\n{rules}}}\n</style>\n");
    let head_end = svg.find(">\n").map_or(0, |end| end + 2);
    format!("{}{style}{}", &svg[..head_end], &svg[head_end..])
}
