//! Second sites, as vaultd tells them: one for each way in which such a thing can stand.

use serde_json::{Value, json};

const TB: u64 = 1_000_000_000_000;
pub const KEY: &str = "5f3c9a10d2b84e77a0c1f29b6d8e4473c5a1908be2f7d6403918ac27be55d0f1";
pub const INVITATION: &str = "kwpair1qyq8m5gx9l2w0sd4hjk3c7v6n5p2z8r4t9y6u3e7a5f2g8h4j6k9l3z7x5c2v8b4n6m9q3w7e5r2t8y4u6p";

/// Nobody keeps for this box, and it keeps for nobody.
pub fn none() -> Value {
    json!({ "name": KEY, "listening": null, "not_listening": null, "receivers": [], "tenants": [] })
}

fn copy(share: &str, taken_at: i64, now: i64, late: bool) -> Value {
    json!({ "share": share, "snapshot": "5a".repeat(32), "taken_at": taken_at, "age_s": now - taken_at, "late": late, "received_at": taken_at + 900 })
}

/// All is well with it.
pub fn receiver(now: i64) -> Value {
    let backlog = |tier: Option<u8>, bytes: u64, forecast: u64| json!({ "tier": tier, "bytes": bytes, "forecast_s": forecast });
    json!({
        "name": KEY.replace('5', "6"), "place": super::SHARE, "address": "backup.example.org:8484", "words": "ocean ladder quick violin",
        "paired_at": now - 60 * 86_400, "quota_bytes": 2 * TB, "floor_s": 90 * 86_400, "busy": false, "receipts": 412, "rate": 1_240_000, "waiting": 0,
        "stands": "proven", "verified_at": now - 7_300,
        "tiers": [
            { "tier": 1, "copies": [copy("keepwell-state", now - 1_900, now, false), copy("EHR", now - 3_700, now, false)], "without_copy": [], "backlog": backlog(Some(1), 0, 0) },
            { "tier": 2, "copies": [copy("SCANS", now - 7_300, now, false)], "without_copy": [], "backlog": backlog(Some(2), 0, 0) },
        ],
        "backlog": backlog(None, 0, 0), "contact_at": now - 640, "failure": null,
        "challenge": { "at": now - 9 * 3_600, "asked": 4_603, "lost": 0, "mended": 0, "lost_at": null },
    })
}

/// It can't be gone on with, and copies there grow old.
pub fn failing(now: i64, code: &str) -> Value {
    let mut receiver = receiver(now);
    receiver["stands"] = json!("overdue");
    receiver["verified_at"] = json!(now - 3 * 86_400);
    receiver["waiting"] = json!(14);
    receiver["backlog"] = json!({ "tier": null, "bytes": 38_400_000_000_u64, "forecast_s": 31_000 });
    receiver["tiers"][0]["copies"][1] = copy("EHR", now - 3 * 86_400, now, true);
    receiver["tiers"][1] =
        json!({ "tier": 2, "copies": [], "without_copy": ["SCANS"], "backlog": { "tier": 2, "bytes": 0, "forecast_s": 0 } });
    receiver["contact_at"] = json!(now - 2 * 86_400);
    receiver["failure"] = json!({ "at": now - 120, "code": code, "text": "backup.example.org:8484: connection refused (os error 111)" });
    receiver
}

/// It lost something, and has it again or not.
pub fn lost(now: i64, mended: u64) -> Value {
    let mut receiver = receiver(now);
    receiver["stands"] = json!(if mended < 4 { "lost" } else { "proven" });
    receiver["challenge"] = json!({ "at": now - 600, "asked": 4_603, "lost": 4, "mended": mended, "lost_at": now - 600 });
    receiver
}

/// Practices whose copies are here: with room, nearly full, and not to be said.
pub fn tenants(now: i64) -> Value {
    let tenant = |practice: &str, used: Option<u64>, came: Option<i64>| {
        json!({ "vault": "ab".repeat(16), "practice": practice, "words": "amber tunnel fresh orbit", "since": now - 30 * 86_400, "quota_bytes": TB, "used_bytes": used,
            "snapshots": used.map(|_| 214), "received_at": came })
    };
    json!([
        tenant("Dr. Maple, Orthopaedics", Some(310_000_000_000), Some(now - 5_400)),
        tenant(super::SHARE, Some(961_000_000_000), Some(now - 86_400)),
        tenant("Harbour Street", None, None),
    ])
}

/// Both ways, for whoever looks.
pub fn both(now: i64, receivers: &[Value]) -> Value {
    json!({ "name": KEY, "listening": "0.0.0.0:8484", "not_listening": null, "receivers": receivers, "tenants": tenants(now) })
}
