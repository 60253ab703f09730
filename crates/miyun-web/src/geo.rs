//! Maps drawn on the server: layers with their licences, projection, nearest areas, squares.

use std::sync::OnceLock;

use miyun_core::Text;

use crate::chart::px;

/// A point: longitude and latitude in degrees, or x and y.
pub type Point = (f64, f64);

/// A layer that the program carries.
#[derive(Debug)]
pub struct Layer {
    /// Id.
    pub id: &'static str,
    /// City that it belongs to.
    pub city: &'static str,
    /// Credit line that every map with the layer shows.
    pub credit: &'static str,
    /// Licence.
    pub licence: &'static str,
    /// Map approval number, where one is needed.
    pub approval: Option<&'static str>,
    /// True for closed shapes.
    pub closed: bool,
    text: &'static str,
}

/// Layers in the program; only those whose licence lets them be shipped.
pub const LAYERS: [Layer; 2] = [
    Layer {
        id: "outline",
        city: "beijing",
        credit: "© OpenStreetMap contributors",
        licence: "ODbL-1.0",
        approval: None,
        closed: true,
        text: include_str!("../geo/beijing-outline.osm.geojson"),
    },
    Layer {
        id: "rivers",
        city: "beijing",
        credit: "Natural Earth",
        licence: "public domain",
        approval: None,
        closed: false,
        text: include_str!("../geo/rivers.naturalearth.geojson"),
    },
];

impl Layer {
    /// Its GeoJSON.
    #[must_use]
    pub fn geojson(&self) -> &'static str {
        self.text
    }

    /// Its lines or rings.
    #[must_use]
    pub fn lines(&self) -> Vec<Vec<Point>> {
        serde_json::from_str::<serde_json::Value>(self.text)
            .map(|v| lines(&v))
            .unwrap_or_default()
    }
}

fn lines(v: &serde_json::Value) -> Vec<Vec<Point>> {
    let point = |p: &serde_json::Value| Some((p.get(0)?.as_f64()?, p.get(1)?.as_f64()?));
    let line = |l: &serde_json::Value| -> Vec<Point> {
        l.as_array()
            .into_iter()
            .flatten()
            .filter_map(point)
            .collect()
    };
    let mut out = Vec::new();
    for f in v["features"].as_array().into_iter().flatten() {
        let g = &f["geometry"];
        match g["type"].as_str() {
            Some("LineString") => out.push(line(&g["coordinates"])),
            Some("Polygon" | "MultiLineString") => {
                out.extend(g["coordinates"].as_array().into_iter().flatten().map(line));
            }
            _ => {}
        }
    }
    out
}

/// A district and its place in the grid of squares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// GB/T 2260 code.
    pub code: String,
    /// Name.
    pub name: Text,
    /// Column from the west.
    pub column: u8,
    /// Row from the north.
    pub row: u8,
}

/// Districts of a city as squares; empty if the program has none.
#[must_use]
pub fn tiles(city: &str) -> &'static [Tile] {
    static BEIJING: OnceLock<Vec<Tile>> = OnceLock::new();
    static LINXI: OnceLock<Vec<Tile>> = OnceLock::new();
    match city {
        "beijing" => BEIJING.get_or_init(|| read(include_str!("../geo/beijing-districts.csv"))),
        "linxi" => LINXI.get_or_init(|| read(include_str!("../geo/linxi-districts.csv"))),
        _ => &[],
    }
}

fn read(text: &str) -> Vec<Tile> {
    text.lines()
        .skip(1)
        .filter_map(|l| {
            let c: Vec<&str> = l.split(',').collect();
            Some(Tile {
                code: (*c.first()?).to_owned(),
                name: Text::new(*c.get(1)?, *c.get(2)?),
                column: c.get(3)?.parse().ok()?,
                row: c.get(4)?.parse().ok()?,
            })
        })
        .collect()
}

/// Degrees to pixels, longitudes shortened by the cosine of the middle latitude.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    west: f64,
    north: f64,
    squeeze: f64,
    scale: f64,
    /// Width in pixels.
    pub width: f64,
    /// Height in pixels.
    pub height: f64,
}

impl Frame {
    /// The frame of given width that holds all points with a margin of `margin` of their extent.
    #[must_use]
    pub fn around(points: &[Point], width: f64, margin: f64) -> Option<Self> {
        let first = points.first()?;
        let (mut w, mut s, mut e, mut n) = (first.0, first.1, first.0, first.1);
        for p in points {
            w = w.min(p.0);
            e = e.max(p.0);
            s = s.min(p.1);
            n = n.max(p.1);
        }
        let more = |a: f64, b: f64| ((b - a) * margin).max(0.01);
        let (dx, dy) = (more(w, e), more(s, n));
        (w, e, s, n) = (w - dx, e + dx, s - dy, n + dy);
        let squeeze = ((s + n) / 2.0).to_radians().cos();
        let scale = width / ((e - w) * squeeze);
        Some(Self {
            west: w,
            north: n,
            squeeze,
            scale,
            width,
            height: (n - s) * scale,
        })
    }

    /// Where a place lies.
    #[must_use]
    pub fn px(&self, p: Point) -> Point {
        (
            (p.0 - self.west) * self.squeeze * self.scale,
            (self.north - p.1) * self.scale,
        )
    }

    /// Lines as the `d` of a path, without detail below `tolerance` pixels; what lies wholly
    /// outside is left out.
    #[must_use]
    pub fn path(&self, lines: &[Vec<Point>], closed: bool, tolerance: f64) -> String {
        let mut d = String::new();
        for line in lines {
            let points: Vec<Point> = line.iter().map(|p| self.px(*p)).collect();
            let inside =
                |p: &Point| (0.0..=self.width).contains(&p.0) && (0.0..=self.height).contains(&p.1);
            if points.iter().any(inside) {
                d.push_str(&path(&simplify(&points, tolerance), closed));
            }
        }
        d
    }
}

/// Points as a path.
#[must_use]
pub fn path(points: &[Point], closed: bool) -> String {
    let mut d = String::new();
    for (i, p) in points.iter().enumerate() {
        d.push(if i == 0 { 'M' } else { 'L' });
        d.push_str(&format!(
            "{} {}",
            px((p.0 * 10.0).round() / 10.0),
            px((p.1 * 10.0).round() / 10.0)
        ));
    }
    if closed && !d.is_empty() {
        d.push('Z');
    }
    d
}

/// Leaves out points that lie nearer than `tolerance` to the line without them (Douglas-Peucker).
#[must_use]
pub fn simplify(points: &[Point], tolerance: f64) -> Vec<Point> {
    if points.len() < 3 {
        return points.to_vec();
    }
    let mut keep = vec![false; points.len()];
    keep[0] = true;
    keep[points.len() - 1] = true;
    let mut work = vec![(0, points.len() - 1)];
    while let Some((a, b)) = work.pop() {
        let far = (a + 1..b)
            .map(|i| (i, distance(points[i], points[a], points[b])))
            .max_by(|x, y| x.1.total_cmp(&y.1));
        if let Some((i, d)) = far
            && d > tolerance
        {
            keep[i] = true;
            work.push((a, i));
            work.push((i, b));
        }
    }
    points
        .iter()
        .zip(keep)
        .filter_map(|(p, k)| k.then_some(*p))
        .collect()
}

fn distance(p: Point, a: Point, b: Point) -> f64 {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let length = dx.hypot(dy);
    if length == 0.0 {
        return (p.0 - a.0).hypot(p.1 - a.1);
    }
    ((p.0 - a.0) * dy - (p.1 - a.1) * dx).abs() / length
}

/// For each site the part of the rectangle `width` x `height` that is nearer to it than to any
/// other site; a site that repeats another has an empty part.
#[must_use]
pub fn nearest_areas(sites: &[Point], width: f64, height: f64) -> Vec<Vec<Point>> {
    sites
        .iter()
        .enumerate()
        .map(|(i, a)| {
            let mut area = vec![(0.0, 0.0), (width, 0.0), (width, height), (0.0, height)];
            for (j, b) in sites.iter().enumerate().filter(|(j, _)| *j != i) {
                if a == b {
                    if j < i {
                        area.clear();
                    }
                    continue;
                }
                // Nearer to a than to b: n . p < c, with n = b - a and c at the middle.
                let n = (b.0 - a.0, b.1 - a.1);
                let c = (b.0 * b.0 + b.1 * b.1 - a.0 * a.0 - a.1 * a.1) / 2.0;
                area = half(&area, n, c);
            }
            area
        })
        .collect()
}

/// The part of a convex polygon where `n . p <= c`.
fn half(area: &[Point], n: Point, c: f64) -> Vec<Point> {
    let side = |p: Point| n.0 * p.0 + n.1 * p.1 - c;
    let mut out = Vec::with_capacity(area.len() + 1);
    for (i, p) in area.iter().enumerate() {
        let q = area[(i + 1) % area.len()];
        let (sp, sq) = (side(*p), side(q));
        if sp <= 0.0 {
            out.push(*p);
        }
        if (sp < 0.0 && sq > 0.0) || (sp > 0.0 && sq < 0.0) {
            let t = sp / (sp - sq);
            out.push((p.0 + (q.0 - p.0) * t, p.1 + (q.1 - p.1) * t));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(area: &[Point]) -> f64 {
        area.iter()
            .enumerate()
            .map(|(i, p)| {
                let q = area[(i + 1) % area.len()];
                p.0 * q.1 - q.0 * p.1
            })
            .sum::<f64>()
            .abs()
            / 2.0
    }

    #[test]
    fn nearest_areas_fill_the_frame_once() {
        let sites = [
            (10.0, 10.0),
            (80.0, 20.0),
            (40.0, 70.0),
            (55.0, 30.0),
            (10.0, 10.0),
        ];
        let areas = nearest_areas(&sites, 100.0, 80.0);
        let total: f64 = areas.iter().map(|a| size(a)).sum();
        assert!((total - 8_000.0).abs() < 1e-6, "{total}");
        assert!(areas[4].is_empty());
        for (i, area) in areas.iter().enumerate().take(4) {
            let n = area.len() as f64;
            let middle = (
                area.iter().map(|p| p.0).sum::<f64>() / n,
                area.iter().map(|p| p.1).sum::<f64>() / n,
            );
            let near = (0..4)
                .min_by(|a, b| {
                    let d = |k: usize| (sites[k].0 - middle.0).hypot(sites[k].1 - middle.1);
                    d(*a).total_cmp(&d(*b))
                })
                .unwrap();
            assert_eq!(near, i);
        }
    }

    #[test]
    fn layers_have_a_licence_and_read() {
        for l in &LAYERS {
            assert!(!l.licence.is_empty() && !l.credit.is_empty(), "{}", l.id);
            assert!(
                l.lines().iter().map(Vec::len).sum::<usize>() > 100,
                "{}",
                l.id
            );
        }
        assert_eq!(tiles("beijing").len(), 16);
        assert_eq!(tiles("linxi").len(), 5);
        let t = tiles("beijing");
        assert!((0..16).all(|i| {
            !t[i + 1..]
                .iter()
                .any(|o| (o.column, o.row) == (t[i].column, t[i].row))
        }));
    }

    #[test]
    fn a_simplified_outline_stays_near() {
        let frame = Frame::around(&LAYERS[0].lines()[0], 600.0, 0.02).unwrap();
        let all: Vec<Point> = LAYERS[0].lines()[0].iter().map(|p| frame.px(*p)).collect();
        let few = simplify(&all, 1.0);
        assert!(few.len() < all.len() / 3 && few.len() > 50, "{}", few.len());
        assert!((size(&few) / size(&all) - 1.0).abs() < 0.01);
        assert!(
            frame.height > 500.0 && frame.height < 800.0,
            "{}",
            frame.height
        );
    }
}
