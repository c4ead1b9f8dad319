//! Plots as SVG.

use std::path::Path;

use anyhow::anyhow;
use plotters::prelude::*;

/// One line of a plot: its name and its points.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// What stands at an axis.
pub(crate) struct Axes<'a> {
    pub(crate) title: &'a str,
    pub(crate) across: &'a str,
    pub(crate) up: &'a str,
    /// Logarithmic upwards.
    pub(crate) log: bool,
}

const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 90, 160),
    RGBColor(200, 60, 40),
    RGBColor(30, 140, 70),
    RGBColor(140, 80, 160),
    RGBColor(190, 140, 0),
    RGBColor(80, 80, 80),
];

/// Draws lines with a dot at each point.
pub(crate) fn draw(path: &Path, axes: &Axes<'_>, lines: &[Line]) -> anyhow::Result<()> {
    let all = || lines.iter().flat_map(|line| &line.points);
    let right = all().map(|point| point.0).fold(1.0, f64::max) * 1.05;
    let top = all().map(|point| point.1).fold(f64::MIN_POSITIVE, f64::max) * 1.3;
    let bottom = all().map(|point| point.1).filter(|y| *y > 0.0).fold(top, f64::min) / 1.3;
    let root = SVGBackend::new(path, (800, 480)).into_drawing_area();
    let drawn = (|| {
        root.fill(&WHITE)?;
        let mut builder = ChartBuilder::on(&root);
        builder
            .caption(axes.title, ("sans-serif", 20))
            .margin(12)
            .x_label_area_size(44)
            .y_label_area_size(72);
        if axes.log {
            let mut chart = builder.build_cartesian_2d(0.0..right, (bottom..top).log_scale())?;
            plot!(chart, axes, lines);
        } else {
            let mut chart = builder.build_cartesian_2d(0.0..right, 0.0..top)?;
            plot!(chart, axes, lines);
        }
        root.present()
    })();
    drawn.map_err(|error| anyhow!("{}: {error}", path.display()))
}

/// The two kinds of axis are two types of chart.
macro_rules! plot {
    ($chart:ident, $axes:ident, $lines:ident) => {
        $chart.configure_mesh().x_desc($axes.across).y_desc($axes.up).draw()?;
        for (line, colour) in $lines.iter().zip(COLOURS.iter().cycle()) {
            let points = || line.points.iter().copied();
            let colour = *colour;
            $chart
                .draw_series(LineSeries::new(points(), colour.stroke_width(2)))?
                .label(line.name.as_str())
                .legend(move |(x, y)| {
                    PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2))
                });
            $chart.draw_series(points().map(|at| Circle::new(at, 3, colour.filled())))?;
        }
        $chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.3))
            .draw()?;
    };
}
use plot;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_is_an_svg_with_its_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.svg");
        let lines = [Line { name: "served".to_owned(), points: vec![(1.0, 1.0), (2.0, 10.0)] }];
        for log in [false, true] {
            let axes = Axes { title: "T", across: "offered", up: "ms", log };
            draw(&path, &axes, &lines).unwrap();
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.starts_with("<svg") && text.contains("served"));
        }
    }
}
