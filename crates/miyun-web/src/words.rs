//! Short words that records and rules keep in one form (roles, deeds of the audit log, names of
//! parameters), in the reader's language. English shows the word as it is kept.

use miyun_core::text::Lang;

use crate::show;

const WORDS: &[(&str, &str)] = &[
    // Roles.
    ("officer", "主管部门人员"),
    ("enterprise", "企业人员"),
    ("verifier", "核查机构人员"),
    ("exchange", "交易机构人员"),
    ("admin", "管理员"),
    // Scopes of keys.
    ("read", "读取"),
    ("write", "写入"),
    ("manage", "管理"),
    // Who did something, if no person.
    ("visitor", "访客"),
    ("system", "系统"),
    ("command line", "命令行"),
    // Deeds.
    ("sign-in", "登录"),
    ("sign-in-refused", "登录被拒"),
    ("sign-out", "退出登录"),
    ("password-change", "更改密码"),
    ("person-add", "新增人员"),
    ("person-close", "关闭账户"),
    ("person-link", "关联外部账户"),
    ("role-give", "授予角色"),
    ("role-take", "收回角色"),
    ("key-create", "生成密钥"),
    ("key-revoke", "撤销密钥"),
    ("upload", "上传数据"),
    ("picture", "上传图片"),
    ("picture-remove", "删除未用图片"),
    ("propose", "提请复核"),
    ("approve", "复核同意"),
    ("reject", "复核退回"),
    ("article-draft", "保存草稿"),
    ("article-propose", "提请发布文章"),
    ("article-publish", "发布文章"),
    ("article-reject", "退回文章"),
    ("article-withdraw", "撤回文章"),
    ("job-start", "开始任务"),
    ("job-cancel", "请求停止任务"),
    ("job-done", "任务完成"),
    ("job-failed", "任务失败"),
    ("job-cancelled", "任务已停止"),
    // Flags of rows.
    ("good", "正常"),
    ("below-detection", "未检出"),
    ("invalid", "无效"),
    ("suspect", "可疑"),
    // Kinds of rules.
    ("limit", "限值"),
    ("breakpoints", "分指数断点"),
    ("band", "级别范围"),
    ("bands", "级别范围"),
    ("validity", "数据有效性"),
    ("level", "级别"),
    ("item", "评价项目"),
    ("rounding", "修约"),
    ("parameter", "参数"),
    ("trigger", "触发条件"),
    ("condition", "参比状态"),
    ("state", "参比状态"),
    ("final", "第二阶段"),
    ("transitional", "过渡阶段"),
    ("as measured", "实测状态"),
    ("in-force", "当时有效的版本"),
    ("text", "纯文本"),
    ("blue", "蓝色"),
    ("yellow", "黄色"),
    ("orange", "橙色"),
    ("red", "红色"),
    ("daily", "日值"),
    ("running-24h-mean", "24 小时滑动平均"),
    // What tables of rules speak of.
    ("hour", "小时"),
    ("day", "日"),
    ("month", "月"),
    ("february", "二月"),
    ("quarter", "季"),
    ("year", "年"),
    ("city", "城市"),
    ("station", "站点"),
    ("input", "输入值"),
    ("output", "结果"),
    ("evaluation", "评价"),
    ("half-even", "四舍六入五成双"),
    ("half-up", "四舍五入"),
    ("ceiling", "进位取整"),
    ("truncate", "舍去尾数"),
    ("exceedance-multiple", "超标倍数"),
    ("ratio-percent", "百分比"),
    ("exceeds-limit", "超过限值"),
    ("percentile-method", "百分位数算法"),
    ("linear-n-1", "线性内插（n−1）"),
    ("ozone-window-hours", "臭氧滑动窗口的小时数"),
    ("ozone-window-end-first", "第一个窗口结束的小时"),
    ("ozone-window-end-last", "最后一个窗口结束的小时"),
    ("primary-pollutant-above", "指数超过此值才有首要污染物"),
    ("publish-incomplete-above", "指数超过此值，数据不全也发布"),
    ("publish-daily-by", "日报最迟发布时刻"),
    ("publish-hourly-lag", "时报最长延迟"),
    ("forecast-days", "预报天数"),
    ("forecast-by", "预报最迟发布时刻"),
    ("h of the next day", "时（次日）"),
    ("emission", "排放"),
    // What is declared of a file, and how one without a name is called.
    ("frames", "数据帧"),
    ("counts", "计数"),
    ("to", "至"),
    ("hour-begin", "时标为小时开始"),
    ("hour-end", "时标为小时结束"),
    ("simulated", "模拟"),
    ("reviewed", "已审核"),
    // What is registered of a device.
    ("status", "状态"),
    ("accepted", "已确认"),
    ("proposed", "待确认"),
    ("refused", "已拒绝"),
    ("edition", "标准版本"),
    ("dialect", "方言"),
    ("crc", "校验"),
    ("subject", "排放口"),
    ("position", "位置"),
    ("encoding", "编码"),
    ("clock", "时钟"),
    ("interval", "上报间隔"),
    ("minute-interval", "分钟数据间隔"),
    ("clock-offset", "时钟偏差"),
    ("cipher", "加密"),
    ("key", "密钥"),
    ("password", "口令"),
    ("indicator", "指标"),
    ("unit", "单位"),
    ("register-fleet", "模拟登记"),
    // Methodologies of the demonstration's projects.
    ("afforestation", "造林"),
    ("inclusion-metro", "碳普惠：地铁"),
    ("solar-thermal", "太阳能热利用"),
];

/// A word in the reader's language; one that nobody translated stays as it is.
#[must_use]
pub fn word(lang: Lang, text: &str) -> &str {
    let other = WORDS.iter().find(|w| w.0 == text);
    other.map_or(text, |w| crate::shell::tr(lang, w.1, text))
}

/// A text of several words with signs between them (`SO2 annual-mean final/2`): each word by itself,
/// indicators and statistics by their names.
#[must_use]
pub fn each(lang: Lang, text: &str) -> String {
    if lang == Lang::En || word(lang, text) != text {
        return word(lang, text).to_owned();
    }
    let mut out = String::new();
    for part in text.split_inclusive(SIGNS) {
        let bare = part.trim_end_matches(SIGNS);
        let names = [
            word(lang, bare).to_owned(),
            show::statistic(lang, bare),
            show::indicator(lang, bare),
        ];
        out.push_str(
            names
                .iter()
                .find(|n| *n != bare)
                .map_or(bare, String::as_str),
        );
        out.push_str(&part[bare.len()..]);
    }
    out
}

/// What stands between words.
const SIGNS: [char; 6] = [' ', '/', ',', '.', '(', ')'];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_alone_and_together() {
        assert_eq!(word(Lang::Zh, "officer"), "主管部门人员");
        assert_eq!(word(Lang::En, "officer"), "officer");
        assert_eq!(word(Lang::Zh, "unit-001"), "unit-001");
        assert_eq!(
            each(Lang::Zh, "SO2 annual-mean final/2"),
            "SO₂ 年平均 第二阶段/2"
        );
        assert_eq!(
            each(Lang::Zh, "hour-begin, UTC+8, simulated"),
            "时标为小时开始, UTC+8, 模拟"
        );
        assert_eq!(each(Lang::Zh, "as measured"), "实测状态");
        assert_eq!(each(Lang::Zh, "unit.LA"), "单位.LA");
        assert_eq!(each(Lang::En, "SO2 annual-mean"), "SO2 annual-mean");
    }

    #[test]
    fn no_word_stands_twice() {
        for (k, w) in WORDS.iter().enumerate() {
            assert!(WORDS[..k].iter().all(|o| o.0 != w.0), "{}", w.0);
        }
    }
}
