//! Hourly air of a northern city: emissions with their daily and yearly course, a mixing layer,
//! episodes that last for days, transport that all stations share, ozone that the sun makes.

use jiff::civil::Date;

use crate::random::Random;
use crate::{CITY, Flaw};

/// Indicator, unit, steps in one unit.
pub const INDICATORS: [(&str, &str, i32); 6] = [
    ("SO2", "ug/m3", 10),
    ("NO2", "ug/m3", 10),
    ("CO", "mg/m3", 100),
    ("O3", "ug/m3", 10),
    ("PM10", "ug/m3", 10),
    ("PM2.5", "ug/m3", 10),
];

/// Triangle wave in -1..1 with its top at `peak` (same unit as `x` and `period`): a season or a
/// day without trigonometry, which differs between machines in the last bit.
fn wave(x: f64, peak: f64, period: f64) -> f64 {
    let phase = (x - peak).rem_euclid(period) / period;
    let t = if phase < 0.5 {
        1.0 - 4.0 * phase
    } else {
        4.0 * phase - 3.0
    };
    // Smoothed: cubic through the same top and bottom.
    t * (1.5 - 0.5 * t * t)
}

/// Weather of the city: indicator, unit, steps in one unit.
pub const WEATHER: [(&str, &str, i32); 5] = [
    ("TEMP", "degC", 10),
    ("DEWP", "degC", 10),
    ("PRES", "hPa", 10),
    ("RAIN", "mm", 10),
    ("WSPM", "m/s", 10),
];

/// `[place][indicator][hour]` in steps, `None` missing.
pub(crate) type Values = Vec<Vec<Vec<Option<i32>>>>;

/// Air as `[station][indicator][hour]`, and the weather they share as `[indicator][hour]`.
pub(crate) fn simulate(
    seed: u64,
    first_day: Date,
    days: usize,
    stations: usize,
) -> (Values, Vec<Vec<Option<i32>>>) {
    let mut random = Random::new(seed);
    let local: Vec<f64> = (0..stations)
        .map(|k| {
            if k + 1 == stations {
                0.55
            } else {
                0.8 + 0.45 * random.uniform()
            }
        })
        .collect();
    let mut memory = vec![0.0f64; stations];
    let mut episode = 0.0f64;
    let mut dust = 0.0f64;
    let mut out = vec![vec![Vec::with_capacity(days * 24); INDICATORS.len()]; stations];
    let mut weather = vec![Vec::with_capacity(days * 24); WEATHER.len()];
    // Weather draws from a stream of its own: the air of a seed stays what it is.
    let mut sky = Sky::new(seed);
    let start_of_year = f64::from(first_day.day_of_year());
    for hour in 0..days * 24 {
        let (day, h) = (hour / 24, (hour % 24) as f64);
        let season = start_of_year + day as f64;
        let winter = wave(season, 15.0, 365.25);
        let years = day as f64 / 365.25;
        let fall = 1.0 - 0.055 * years;
        let weekday =
            if (day + usize::from(first_day.weekday().to_monday_zero_offset().unsigned_abs())) % 7
                < 5
            {
                1.0
            } else {
                0.88
            };
        // Weather: an episode index that decays slowly and is broken by fronts.
        if random.uniform() < 0.011 {
            episode = -1.3 - 0.6 * random.uniform();
        }
        episode = episode * 0.985 + 0.021 + 0.075 * random.normal();
        if random.uniform() < 0.000_55 && (55.0..150.0).contains(&season.rem_euclid(365.25)) {
            dust = 260.0 + 240.0 * random.uniform();
        }
        dust *= 0.9;
        let still = (episode * 0.62 + 0.22 * winter).clamp(-1.6, 2.6);
        let mixing = 1.0 - 0.26 * wave(h, 15.0, 24.0);
        let traffic = 0.55
            + 0.28 * (wave(h, 8.0, 24.0).max(0.0) + wave(h, 19.0, 24.0).max(0.0))
            + 0.1 * wave(h, 14.0, 24.0);
        let level = (2.0f64).powf(still) * fall;
        let sun = wave(season, 175.0, 365.25) * 0.5 + 0.5;
        let shine = wave(h, 15.5, 24.0).max(-0.75);
        for (series, v) in weather.iter_mut().zip(sky.hour(season, h, episode)) {
            series.push(Some((v * 10.0).round() as i32));
        }
        for (k, share) in local.iter().enumerate() {
            memory[k] = memory[k] * 0.9 + 0.045 * random.normal();
            let noise = 1.0 + memory[k] + 0.05 * random.normal();
            let here = (0.45 + 0.55 * share) * noise.max(0.3);
            let pm25 = (26.5 + 8.0 * winter) * level * mixing * here + 1.5;
            let coarse = (15.0 + 6.0 * wave(season, 105.0, 365.25))
                * here
                * (0.75 + 0.25 * mixing)
                * (1.35 - 0.12 * still)
                + dust * (0.8 + 0.2 * share);
            let no2 = (19.0 + 8.0 * winter)
                * level.sqrt()
                * traffic
                * 1.75
                * mixing
                * (0.35 + 0.65 * share)
                * weekday
                * noise.max(0.3);
            let o3 = (32.0 + 62.0 * sun + (22.0 + 46.0 * sun) * shine * (1.0 + 0.18 * still)
                - 0.42 * no2)
                * (1.05 - 0.05 * share)
                + 4.0 * random.normal();
            let co = (0.30 + 0.16 * winter.max(-0.5)) * level.sqrt() * (0.8 + 0.3 * traffic) * here
                + 0.06;
            let so2 = (2.4 + 1.7 * winter.max(-0.4)) * level.sqrt() * here;
            for (i, v) in [so2, no2, co, o3, pm25 + coarse, pm25 + 0.06 * dust]
                .into_iter()
                .enumerate()
            {
                let scale = f64::from(INDICATORS[i].2);
                let lowest = if i == 2 { 0.08 } else { 1.0 };
                out[k][i].push(Some((v.max(lowest) * scale).round() as i32));
            }
        }
    }
    (out, weather)
}

/// The weather between two hours.
struct Sky {
    random: Random,
    warm: f64,
    rain: f64,
}

impl Sky {
    fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed ^ 0x5eed_0f5e_a500_0000),
            warm: 0.0,
            rain: 0.0,
        }
    }

    /// Temperature, dew point, pressure, rain, wind speed. A still episode is warm and humid, a
    /// front (negative episode) windy and dry.
    fn hour(&mut self, season: f64, h: f64, episode: f64) -> [f64; 5] {
        let r = &mut self.random;
        self.warm = self.warm * 0.98 + 0.35 * r.normal();
        let summer = wave(season, 200.0, 365.25);
        let temperature = 12.5 + 15.5 * summer + 4.5 * wave(h, 15.0, 24.0) + self.warm;
        let spread = (11.0 - 4.0 * episode - 4.0 * summer).clamp(0.5, 22.0);
        let wet = 0.002 + 0.012 * summer.max(0.0);
        if r.uniform() < wet {
            self.rain = 9.0 * r.uniform() * r.uniform();
        }
        self.rain *= 0.75;
        if self.rain < 0.05 {
            self.rain = 0.0;
        }
        let spread = if self.rain > 0.0 {
            spread.min(1.5)
        } else {
            spread
        };
        let pressure = 1013.0 - 10.5 * summer - 2.5 * episode + 0.3 * r.normal();
        let wind = (1.7 - 0.9 * episode + 0.5 * wave(h, 14.0, 24.0) + 0.4 * r.normal()).max(0.1);
        [temperature, temperature - spread, pressure, self.rain, wind]
    }
}

/// Plants known flaws, one kind after the other: into the year before the last if there are more
/// than two, so that they stand in the past of a city that is cut short.
pub(crate) fn plant_flaws(values: &mut Values, names: &[&str], days: usize) -> Vec<Flaw> {
    let hours = days * 24;
    let mut flaws = Vec::new();
    let mut name = |kind, station: usize, indicator: &str, from: usize, until: usize| {
        flaws.push(Flaw {
            kind,
            subject: format!("{CITY}/{}", names[station]),
            indicator: indicator.to_owned(),
            hours: (from, until),
        });
    };
    if hours < 24 * 120 {
        return flaws;
    }
    let back = if days > 731 { 365 + 130 } else { 100 };
    let last = hours - 24 * back;
    // A gap of twelve days at one station, and short ones everywhere.
    for series in &mut values[1] {
        series[last..last + 24 * 12].fill(None);
    }
    name("gap", 1, "", last, last + 24 * 12 - 1);
    let mut random = Random::new(u64::from(days as u32));
    for station in values.iter_mut() {
        for series in station.iter_mut() {
            let mut at = 0;
            while at < hours {
                at += 1 + (random.uniform() * 160.0) as usize;
                let end = (at + 1 + (random.uniform() * 3.0) as usize).min(hours);
                if at < hours {
                    series[at..end].fill(None);
                }
            }
        }
    }
    // A stuck PM2.5 instrument for two days.
    let from = last + 24 * 20;
    let stuck = values[4][5][from].or(Some(310));
    values[4][5][from..from + 48].fill(stuck);
    name("stuck", 4, "PM2.5", from, from + 47);
    // PM10 copied from PM2.5 for five days.
    let from = last + 24 * 30;
    let copy: Vec<Option<i32>> = values[5][5][from..from + 120].to_vec();
    values[5][4][from..from + 120].copy_from_slice(&copy);
    name("copied", 5, "PM10", from, from + 119);
    // CO written in micrograms for two days.
    let from = last + 24 * 40;
    for v in values[7][2][from..from + 48].iter_mut().flatten() {
        *v *= 1000;
    }
    name("unit", 7, "CO", from, from + 47);
    // A clock three hours late for a month.
    let from = last + 24 * 50;
    for series in &mut values[8] {
        series[from..from + 24 * 30].rotate_right(3);
    }
    name("clock-shift", 8, "", from, from + 24 * 30 - 1);
    // A dust day everywhere.
    let from = last + 24 * 90;
    for station in values.iter_mut() {
        for v in station[4][from..from + 18].iter_mut().flatten() {
            *v += 4_200;
        }
    }
    name("dust-day", 0, "PM10", from, from + 17);
    flaws
}
