//! Plots as SVG: ratios as dots with their spread, and curves.

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// A plot.
pub struct Plot {
    /// Also its file's name.
    pub name: String,
    /// Says what it shows, to those who cannot see it.
    pub title: String,
    pub svg: String,
}

/// A line of dots, one for each ratio.
pub struct Dots {
    pub label: String,
    /// Series, median, low, high.
    pub marks: Vec<(usize, f64, f64, f64)>,
    /// What was promised for a series.
    pub limits: Vec<(usize, f64)>,
}

/// A curve of a plot.
pub struct Curve {
    pub name: String,
    /// x, y, and y's spread.
    pub points: Vec<(f64, f64, f64, f64)>,
}

const INK: RGBColor = RGBColor(31, 41, 55);
const FAINT: RGBColor = RGBColor(226, 232, 240);
const SOFT: RGBColor = RGBColor(100, 116, 139);
/// Told apart by people who see few colours.
const SERIES: [RGBColor; 4] =
    [RGBColor(0, 114, 178), RGBColor(213, 94, 0), RGBColor(0, 158, 115), RGBColor(204, 121, 167)];

const WIDTH: u32 = 860;
const LEFT: i32 = 210;
const RIGHT: i32 = 40;
const TOP: i32 = 64;
const LINE: i32 = 22;
const BOTTOM: i32 = 44;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Ratios on a logarithmic axis: left of 1 is faster.
pub fn dots(name: &str, title: &str, series: &[String], lines: &[Dots]) -> Result<Plot> {
    let height = TOP + LINE * lines.len() as i32 + BOTTOM;
    let values = lines.iter().flat_map(|line| line.marks.iter().flat_map(|mark| [mark.2, mark.3]));
    let (low, high) =
        values.fold((0.8_f64, 1.25_f64), |(low, high), value| (low.min(value), high.max(value)));
    let (low, high) = (low * 0.95, high * 1.05);
    let right = WIDTH as i32 - RIGHT;
    let x = |value: f64| {
        let part = (value / low).ln() / (high / low).ln();
        LEFT + (part.clamp(0.0, 1.0) * f64::from(right - LEFT)) as i32
    };
    let svg = draw(height as u32, |area| {
        head(area, title, series)?;
        let foot = height - BOTTOM;
        for tick in ticks(low, high) {
            let (colour, width) = if tick == 1.0 { (SOFT, 2) } else { (FAINT, 1) };
            area.draw(&PathElement::new(vec![(x(tick), TOP), (x(tick), foot)], colour.stroke_width(width)))?;
            text(area, &format!("{tick}"), (x(tick), foot + 6), HPos::Center, 12, SOFT)?;
        }
        text(area, "faster", (LEFT, foot + 24), HPos::Left, 12, SOFT)?;
        text(area, "slower", (right, foot + 24), HPos::Right, 12, SOFT)?;
        for (at, line) in lines.iter().enumerate() {
            let y = TOP + LINE * at as i32 + LINE / 2;
            text(area, &line.label, (LEFT - 12, y - 7), HPos::Right, 13, INK)?;
            for (which, limit) in &line.limits {
                let colour = SERIES[which % SERIES.len()].mix(0.7).stroke_width(2);
                area.draw(&PathElement::new(vec![(x(*limit), y - 9), (x(*limit), y + 9)], colour))?;
            }
            for (which, median, low, high) in &line.marks {
                let colour = SERIES[which % SERIES.len()];
                area.draw(&PathElement::new(vec![(x(*low), y), (x(*high), y)], colour.stroke_width(2)))?;
                area.draw(&Circle::new((x(*median), y), 5, colour.filled()))?;
            }
        }
        Ok(())
    })?;
    Ok(Plot { name: name.to_owned(), title: title.to_owned(), svg })
}

/// Curves over a common x.
pub fn curves(name: &str, title: &str, of: &str, curves: &[Curve]) -> Result<Plot> {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let last = points().map(|point| point.0).fold(0.0, f64::max);
    let most = points().map(|point| point.3).fold(0.0, f64::max) * 1.05;
    let names: Vec<String> = curves.iter().map(|curve| curve.name.clone()).collect();
    let svg = draw(420, |area| {
        head(area, title, &names)?;
        let inner = area.margin(TOP, 8, 8, RIGHT);
        let mut chart = ChartBuilder::on(&inner)
            .x_label_area_size(40)
            .y_label_area_size(64)
            .build_cartesian_2d(0.0..last, 0.0..most)?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .bold_line_style(FAINT)
            .axis_style(SOFT)
            .label_style(("sans-serif", 12).into_font().color(&SOFT))
            .x_desc(of)
            .draw()?;
        for (at, curve) in curves.iter().enumerate() {
            let colour = SERIES[at % SERIES.len()];
            let line = curve.points.iter().map(|point| (point.0, point.1));
            chart.draw_series(LineSeries::new(line.clone(), colour.stroke_width(2)))?;
            chart.draw_series(line.map(|point| Circle::new(point, 3, colour.filled())))?;
            let spreads = curve.points.iter().map(|(x, _, low, high)| {
                PathElement::new(vec![(*x, *low), (*x, *high)], colour.mix(0.5).stroke_width(1))
            });
            chart.draw_series(spreads)?;
        }
        Ok(())
    })?;
    Ok(Plot { name: name.to_owned(), title: title.to_owned(), svg })
}

fn draw(
    height: u32,
    paint: impl FnOnce(&Area<'_>) -> Result<(), Box<dyn std::error::Error>>,
) -> Result<String> {
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
    let painted = area.fill(&WHITE).map_err(Into::into).and_then(|()| paint(&area));
    let painted = painted.and_then(|()| area.present().map_err(Into::into));
    drop(area);
    painted.map_err(|error| anyhow!("a plot cannot be drawn: {error}"))?;
    Ok(svg)
}

/// Title and legend.
fn head(area: &Area<'_>, title: &str, series: &[String]) -> Result<(), Box<dyn std::error::Error>> {
    text(area, title, (16, 12), HPos::Left, 17, INK)?;
    let mut x = 22;
    for (at, name) in series.iter().enumerate() {
        area.draw(&Circle::new((x, 47), 5, SERIES[at % SERIES.len()].filled()))?;
        text(area, name, (x + 11, 40), HPos::Left, 13, INK)?;
        x += 40 + 7 * name.chars().count() as i32;
    }
    Ok(())
}

fn text(
    area: &Area<'_>,
    text: &str,
    at: (i32, i32),
    side: HPos,
    size: u32,
    colour: RGBColor,
) -> Result<(), Box<dyn std::error::Error>> {
    let style = ("sans-serif", size).into_font().color(&colour).pos(Pos::new(side, VPos::Top));
    Ok(area.draw(&Text::new(text.to_owned(), at, style))?)
}

/// Round values of a logarithmic axis.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let fine = [0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.35, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 5.0];
    let coarse = [0.01, 0.03, 0.1, 0.3, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0, 300.0, 1000.0];
    let wanted = if high / low < 6.0 { &fine[..] } else { &coarse[..] };
    wanted.iter().copied().filter(|tick| (low..=high).contains(tick)).collect()
}
