//! A year as a calendar: one square per day, one row per weekday.

use jiff::civil::Date;
use maud::{Markup, html};

use super::{LEVEL_SHAPES, px};

/// One day of the calendar.
#[derive(Debug, Clone)]
pub struct CalendarDay {
    /// The day.
    pub date: Date,
    /// Level from 1, `None` where none was published.
    pub level: Option<u8>,
    /// What a reader sees on hover: date, index, level, primary pollutant.
    pub title: String,
    /// True to ring the day, for example because its value is not valid.
    pub ringed: bool,
}

const CELL: f64 = 12.5;

/// The days as a calendar. `months` are twelve short names; `caption` one sentence.
#[must_use]
pub fn calendar(title: &str, days: &[CalendarDay], months: &[&str; 12], caption: &str) -> Markup {
    let Some(first) = days.first().map(|d| d.date) else {
        return html! { figure.chart { figcaption { (caption) } } };
    };
    let offset = f64::from(first.weekday().to_monday_zero_offset());
    let place = |d: Date| {
        let n = (d - first).get_days();
        let i = f64::from(n) + offset;
        (30.0 + (i / 7.0).floor() * CELL, 18.0 + (i % 7.0) * CELL)
    };
    html! {
        figure.chart.calendar tabindex="0" {
            svg viewBox="0 0 720 110" role="img" aria-label=(title) {
                @for day in days.iter().filter(|d| d.date.day() == 1) {
                    text.tick x=(px(place(day.date).0)) y="12" { (months[usize::from(day.date.month().unsigned_abs()) - 1]) }
                }
                @for day in days {
                    @let (x, y) = place(day.date);
                    @let class = format!("l{}{}", day.level.unwrap_or(0), if day.ringed { " ringed" } else { "" });
                    g {
                        title { (day.title) }
                        rect class=(class) x=(px(x)) y=(px(y)) width="11" height="11" rx="1.5" {}
                        @if let Some(shape) = day.level.filter(|l| *l >= 3).and_then(|l| LEVEL_SHAPES.get(usize::from(l) - 1)) {
                            text class={ "shape t" (day.level.unwrap_or(0)) } x=(px(x + 5.5)) y=(px(y + 8.5)) { (shape) }
                        }
                    }
                }
            }
            figcaption { (caption) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_has_its_square_and_its_words() {
        let first = Date::new(2016, 1, 1).unwrap();
        let days: Vec<CalendarDay> = first
            .series(jiff::Span::new().days(1))
            .take(366)
            .map(|date| CalendarDay {
                date,
                level: Some(4),
                title: format!("{date} 160"),
                ringed: true,
            })
            .collect();
        let svg = calendar("t", &days, &["1"; 12], "c").into_string();
        assert_eq!(svg.matches("<rect").count(), 366);
        assert_eq!(svg.matches('■').count(), 366);
        assert_eq!(svg.matches("<rect class=\"l4 ringed\" x").count(), 366);
        assert!(svg.contains("2016-12-31 160"));
    }
}
