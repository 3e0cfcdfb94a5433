//! What a page says, whatever it is printed on. Every reader is somebody on their worst day: short sentences, no jargon.

use keepwell_crypt::KitFile;

/// What a page says beside the share. Text for the reader; control characters become spaces.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Whose backups these are.
    pub owner: String,
    /// Who keeps this page; may be empty, then there is a line to fill in.
    pub keeper: String,
    /// When it was made, as a date.
    pub made: String,
    /// Serial number of the box; may be empty.
    pub serial: String,
}

/// A heading and its lines, each short enough for 80 columns.
pub(crate) struct Section {
    pub(crate) title: &'static str,
    pub(crate) lines: Vec<String>,
}

pub(crate) fn title(kit: &KitFile) -> String {
    format!("KEEPWELL RECOVERY KIT - SHEET {} OF 3", kit.share.index())
}

/// Name and value, in the order of the page.
pub(crate) fn facts(kit: &KitFile, facts: &Facts) -> Vec<(&'static str, String)> {
    let or = |text: &str, none: &str| if text.trim().is_empty() { none.to_owned() } else { one_line(text) };
    vec![
        ("Backups of", or(&facts.owner, "-")),
        ("Made on", or(&facts.made, "-")),
        ("Box", or(&facts.serial, "-")),
        ("Kit", format!("set {}, sheet {} of 3", kit.set, kit.share.index())),
        ("Kept by", or(&facts.keeper, "______________________________")),
    ]
}

pub(crate) fn sections(kit: &KitFile) -> Vec<Section> {
    let others = match kit.share.index() {
        1 => "2 and 3",
        2 => "1 and 3",
        _ => "1 and 2",
    };
    let section = |title, lines: &[&str]| Section { title, lines: lines.iter().map(|line| (*line).to_owned()).collect() };
    let mut keep = section(
        "Keep it",
        &["Not on the box, and not on a computer that it backs up.", "Give it to nobody who asks by telephone or e-mail."],
    );
    keep.lines.insert(0, format!("Apart from sheets {others}: another building, another person."));
    vec![
        section(
            "What this is",
            &[
                "One of three sheets that open these backups when the box is lost.",
                "Any two of the three open everything. This one alone opens nothing.",
            ],
        ),
        keep,
        section(
            "When the box is lost, stolen or broken",
            &[
                "1. Fetch a second sheet of the same set, from who keeps it.",
                "2. Give both to a new Keepwell box: it asks for them on its own screen.",
                "   Or to the program keepwell, on any computer that has the backup disks:",
                "   keepwell vault restore --vault DISKS --unlock kit:F,F latest --to FOLDER",
                "3. Afterwards have a new kit made, and destroy this one.",
            ],
        ),
        section(
            "When this sheet is lost, or was seen by a stranger",
            &["Have a new kit made. The backups are still there, and still closed."],
        ),
        section("The sheet itself", &["Copy these lines exactly, word by word; the last word checks its row."]),
    ]
}

pub(crate) fn one_line(text: &str) -> String {
    text.split(char::is_control).collect::<Vec<_>>().join(" ").trim().to_owned()
}
