//! Commands that this crate acts on. What every code means is data: `rulebook/vocabulary/hj212/`.

/// Timeout and resends.
pub const SET_TIMEOUT: u16 = 1000;
/// Hardware numbers of a logger (2025).
pub const HARDWARE: u16 = 1001;
/// MN given by the host (2025).
pub const SET_MN: u16 = 1002;
/// The clock, read.
pub const CLOCK: u16 = 1011;
/// The clock, set.
pub const SET_CLOCK: u16 = 1012;
/// A device asks for its clock to be set.
pub const CLOCK_WANTED: u16 = 1013;
/// A new SM4 key (2025).
pub const NEW_KEY: u16 = 1014;
/// Interval of real-time data, read.
pub const RTD_INTERVAL: u16 = 1061;
/// Interval of real-time data, set.
pub const SET_RTD_INTERVAL: u16 = 1062;
/// Interval of minute data, read.
pub const MIN_INTERVAL: u16 = 1063;
/// Interval of minute data, set.
pub const SET_MIN_INTERVAL: u16 = 1064;
/// The password, set.
pub const SET_PASSWORD: u16 = 1072;
/// Real-time data.
pub const REAL_TIME: u16 = 2011;
/// Real-time data, stopped.
pub const STOP_REAL_TIME: u16 = 2012;
/// Raw periodic data (2025).
pub const PERIODIC: u16 = 2013;
/// State of equipment.
pub const STATE: u16 = 2021;
/// State of equipment, stopped.
pub const STOP_STATE: u16 = 2022;
/// Day data.
pub const DAY: u16 = 2031;
/// Running hours of a day.
pub const RUN_DAY: u16 = 2041;
/// Minute data.
pub const MINUTE: u16 = 2051;
/// Hour data.
pub const HOUR: u16 = 2061;
/// Time of a restart.
pub const RESTARTED: u16 = 2081;
/// Zero and span calibration.
pub const CALIBRATE: u16 = 3011;
/// Sampling at once.
pub const SAMPLE: u16 = 3012;
/// Cleaning or blow-back.
pub const CLEAN: u16 = 3013;
/// Sampling on exceedance.
pub const KEEP_SAMPLE: u16 = 3015;
/// Device id.
pub const IDENTITY: u16 = 3019;
/// Information of a device.
pub const INFO: u16 = 3020;
/// Answer to a request.
pub const REQUEST_ANSWER: u16 = 9011;
/// Result of a request.
pub const RESULT: u16 = 9012;
/// Answer to a notice.
pub const NOTICE_ANSWER: u16 = 9013;
/// Answer to data.
pub const DATA_ANSWER: u16 = 9014;
/// Heartbeat (2025; surface-water stations before).
pub const HEARTBEAT: u16 = 9015;

/// True for commands whose region a 2025 device encrypts on its way up.
///
/// Clause: HJ 212-2025 6.4.4 (by two public implementations).
#[must_use]
pub fn encrypts(cn: u16) -> bool {
    matches!(cn, 2000..=2999) || cn == NEW_KEY || cn == INFO
}

/// True for answers, which nobody answers.
#[must_use]
pub fn is_answer(cn: u16) -> bool {
    matches!(cn, REQUEST_ANSWER | RESULT | NOTICE_ANSWER | DATA_ANSWER)
}
