//! Any k good shards make the object, for any layout and any length.

use keepwell_storage::{Class, Layout, ShardHeader, decode, encode_object};
use proptest::prelude::*;

use super::disks::bytes;

/// A layout, a length, and an order of its shards.
fn cases() -> impl Strategy<Value = (Layout, usize, Vec<u8>)> {
    (1u8..=10, 0u8..=5, prop_oneof![0usize..300, 0usize..20_000]).prop_flat_map(|(k, m, len)| {
        let layout = Layout::new(k, m).unwrap();
        (Just(layout), Just(len), Just((0..layout.width()).collect::<Vec<u8>>()).prop_shuffle())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_k_shards_make_the_object((layout, len, order) in cases()) {
        let object = bytes(len, 9);
        let encoded = encode_object(layout, [1; 16], Class::Pack, object.clone());
        let set = &order[..layout.k.into()];
        let payloads: Vec<(u8, Vec<u8>)> = set.iter().map(|index| (*index, encoded.shard(*index).1.to_vec())).collect();
        for (index, payload) in &payloads {
            let header = ShardHeader::parse(&encoded.shard(*index).0).unwrap();
            prop_assert_eq!(header.check_payload(payload), Ok(()));
            prop_assert_eq!(header.shard_len() as usize, payload.len());
            prop_assert_eq!(payload.len() % 64, 0);
        }
        let slices: Vec<(u8, &[u8])> = payloads.iter().map(|(index, payload)| (*index, payload.as_slice())).collect();
        prop_assert_eq!(decode(layout, len as u64, &slices), Some(object));
        prop_assert_eq!(decode(layout, len as u64, &slices[1..]), None);
    }

    #[test]
    fn a_new_layout_of_an_encoded_object_is_as_if_encoded_anew((layout, len, _) in cases()) {
        let object = bytes(len, 9);
        let anew = encode_object(layout, [1; 16], Class::Pack, object.clone());
        let again = encode_object(Layout::new(3, 2).unwrap(), [1; 16], Class::Pack, object).in_layout(layout);
        for index in 0..layout.width() {
            prop_assert_eq!(again.shard(index), anew.shard(index));
        }
    }

    #[test]
    fn parsers_of_foreign_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = keepwell_storage::Label::parse(&bytes);
        if let Some(header) = bytes.first_chunk() {
            let _ = ShardHeader::parse(header);
        }
        let _ = keepwell_storage::ShardName::parse(&String::from_utf8_lossy(&bytes));
    }
}
