//! The parser of `keepwell-keyd` for a file that comes with an image.

use keepwell_keyd::policy::{SignedPolicies, documents};

/// A file of signed policies, before its signatures are checked: one document, or several in an object of somebody else.
pub fn signed_policies(data: &[u8]) {
    for document in documents(data).unwrap_or_default() {
        document_of_policies(document);
    }
}

fn document_of_policies(data: &[u8]) {
    let Ok(policies) = SignedPolicies::parse(data) else { return };
    let written = serde_json::to_vec(&policies).expect("what was read is written");
    let again = SignedPolicies::parse(&written).expect("what is written is read");
    assert_eq!(serde_json::to_vec(&again).expect("it is written again"), written);
}
