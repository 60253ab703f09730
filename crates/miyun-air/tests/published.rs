//! Figures that Beijing published, reproduced from the stations of its city mean.

mod common;

use common::{STATIONS, edition, prsa};
use miyun_air::annual::day_range;
use miyun_air::city::city_days;
use miyun_air::{DaySeries, Exact, Incomplete, station_days, valid_days};
use miyun_core::Period;
use miyun_core::observation::IntervalLabel;

/// The eleven stations that take part: Dingling is the control station.
fn stations(label: IntervalLabel) -> Option<(jiff::civil::Date, Vec<Vec<DaySeries>>)> {
    let e = edition("2012");
    let mut first = None;
    let mut all = Vec::new();
    for s in STATIONS.iter().filter(|s| **s != "Dingling") {
        let hours = prsa(s, label)?;
        first = Some(hours.first_day);
        all.push(valid_days(&station_days(&hours, &e)));
    }
    Some((first?, all))
}

#[test]
fn city_means_of_2014_to_2016() {
    let Some((first, stations)) = stations(IntervalLabel::HourEnd) else {
        return;
    };
    let e = edition("2012");
    let city = city_days(&stations, None);
    let rounded = e.rounded_days(&city);
    // Published, or the reference of the research note where the bulletin gives only a change.
    let published = [
        (2014, "PM2.5", 85.4),
        (2015, "PM2.5", 81.0),
        (2016, "PM2.5", 73.0),
        (2015, "NO2", 50.0),
        (2016, "NO2", 48.0),
        (2016, "SO2", 10.0),
    ];
    for (year, indicator, want) in published {
        let values = e.annual_values(first, &city, &rounded, &Period::year(year).unwrap());
        let v = values
            .iter()
            .find(|v| {
                e.annual[v.item].item.indicator == indicator
                    && e.annual[v.item].item.percentile.is_none()
            })
            .unwrap();
        let got = v.value.unwrap().to_f64();
        assert!(
            (got - want).abs() < 0.6,
            "{year} {indicator}: {got} against {want}"
        );
    }
}

#[test]
fn heavy_days_of_2014_to_2016() {
    let Some((first, stations)) = stations(IntervalLabel::HourEnd) else {
        return;
    };
    let e = edition("2012");
    let indices = e.day_indices(
        &e.rounded_days(&city_days(&stations, None)),
        Incomplete::PublishAbove(100),
    );
    for (year, heavy) in [(2014, 46), (2015, 49), (2016, 39)] {
        let period = Period::year(year).unwrap();
        let c = e.day_counts(&indices[day_range(first, indices.len(), &period)]);
        assert_eq!(c.heavy, heavy, "{year}");
    }
}

/// Order of averaging is worth more than 0.1 ug/m3 (research note, section 4).
#[test]
fn the_order_of_averaging_matters() {
    let Some((first, stations)) = stations(IntervalLabel::HourEnd) else {
        return;
    };
    let e = edition("2012");
    let slot = e.slot("PM2.5", "daily-mean").unwrap();
    let city = city_days(&stations, None);
    for (year, by_days, by_stations) in [
        (2014, 85.44, 85.34),
        (2015, 80.68, 81.00),
        (2016, 73.05, 73.27),
    ] {
        let range = day_range(first, city[slot].len(), &Period::year(year).unwrap());
        let mean = |s: &DaySeries| Exact::mean(s[range.clone()].iter().flatten().copied()).unwrap();
        let days = mean(&city[slot]).to_f64();
        let of_stations = Exact::mean(stations.iter().map(|s| mean(&s[slot])))
            .unwrap()
            .to_f64();
        assert!((days - by_days).abs() < 0.4, "{year}: {days}");
        assert!(
            (of_stations - by_stations).abs() < 0.4,
            "{year}: {of_stations}"
        );
        println!(
            "{year}: mean of daily city means {days:.2}, mean of station means {of_stations:.2}"
        );
    }
}
