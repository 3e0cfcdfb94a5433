//! What is seen of the machine; its addresses, and an address that a person sets: what makes one, and the file of the network service that says it. Never opens a socket.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

/// What is seen of the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Local {
    /// Its network cards, without the one that leads to itself.
    pub(crate) cards: Vec<Card>,
    /// Where what is for others goes.
    pub(crate) gateway: Option<Ipv4Addr>,
    /// Whether an address was set here.
    pub(crate) fixed: bool,
    /// SHA-256 of the console's certificate authority, as browsers show it.
    pub(crate) fingerprint: Option<String>,
    /// Whether the disk on which all programs of the box keep their state has no room left: then none of them may be able to start and say so.
    pub(crate) disk_full: bool,
}

/// A network card.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Card {
    /// The kernel's name for it.
    pub(crate) name: String,
    /// Its own number, as on its sticker.
    pub(crate) mac: String,
    /// Whether a cable with something at its other end is in it.
    pub(crate) linked: bool,
    /// Addresses, without those of the link alone.
    pub(crate) addresses: Vec<String>,
}

/// An address that stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fixed {
    card: String,
    address: Ipv4Addr,
    prefix: u8,
    gateway: Option<Ipv4Addr>,
    dns: Vec<Ipv4Addr>,
}

/// What makes no address. Display is for the person who typed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TypedWrong {
    /// Of no card that there is.
    #[error("There is no network card of that name.")]
    Card,
    /// No address with its prefix.
    #[error("Type the address as 192.168.1.20/24: four numbers, a slash, and how many bits are the network's (8 to 30).")]
    Address,
    /// An address that no computer can have.
    #[error("No computer of a network can have this address.")]
    NotOne,
    /// None, or of another network.
    #[error("The router has to be another address of the same network; leave it empty if there is none.")]
    Gateway,
    /// None.
    #[error("Type up to three addresses of name servers, with blanks between them.")]
    Dns,
}

impl Fixed {
    /// From what was typed. Nothing but addresses gets through, so nothing else gets into a file of the system's.
    pub(crate) fn typed(cards: &[Card], card: &str, address: &str, gateway: &str, dns: &str) -> Result<Self, TypedWrong> {
        let card = cards.iter().find(|known| known.name == card.trim()).ok_or(TypedWrong::Card)?.name.clone();
        let (host, prefix) = address.trim().split_once('/').ok_or(TypedWrong::Address)?;
        let host: Ipv4Addr = host.parse().map_err(|_| TypedWrong::Address)?;
        let prefix: u8 = prefix.parse().ok().filter(|prefix| (8..=30).contains(prefix)).ok_or(TypedWrong::Address)?;
        let mask = u32::MAX << (32 - prefix);
        let inside = |one: Ipv4Addr| one.to_bits() & !mask != 0 && one.to_bits() | mask != u32::MAX;
        let usable = |one: Ipv4Addr| {
            !(one.is_loopback() || one.is_multicast() || one.is_link_local() || one.octets()[0] == 0 || one.octets()[0] >= 240)
        };
        if !inside(host) || !usable(host) {
            return Err(TypedWrong::NotOne);
        }
        let fits = |one: &Ipv4Addr| one.to_bits() & mask == host.to_bits() & mask && *one != host && inside(*one);
        let gateway = match gateway.trim() {
            "" => None,
            typed => Some(typed.parse().ok().filter(fits).ok_or(TypedWrong::Gateway)?),
        };
        let dns: Vec<Ipv4Addr> = dns
            .split_whitespace()
            .map(|one| one.parse().ok().filter(|one| usable(*one)).ok_or(TypedWrong::Dns))
            .collect::<Result<_, _>>()?;
        if dns.len() > 3 { Err(TypedWrong::Dns) } else { Ok(Self { card, address: host, prefix, gateway, dns }) }
    }

    /// For a person, before it is set.
    pub(crate) fn words(&self) -> String {
        let none = || "none".to_owned();
        let gateway = self.gateway.map_or_else(none, |one| one.to_string());
        let dns = if self.dns.is_empty() { none() } else { self.dns.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ") };
        format!("{}/{} on {}, router {gateway}, name servers {dns}", self.address, self.prefix, self.card)
    }

    /// A file for systemd-networkd (systemd.network(5)).
    pub(crate) fn file(&self) -> String {
        let mut file = format!(
            "# Written at the box's own screen.\n[Match]\nName={}\n\n[Network]\nDHCP=no\nAddress={}/{}\n",
            self.card, self.address, self.prefix
        );
        for (name, value) in self.gateway.iter().map(|one| ("Gateway", one)).chain(self.dns.iter().map(|one| ("DNS", one))) {
            writeln!(file, "{name}={value}").expect("a string takes all");
        }
        file
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(address: &str, gateway: &str, dns: &str) -> Result<Fixed, TypedWrong> {
        Fixed::typed(&[Card { name: "eth0".into(), ..Card::default() }], "eth0", address, gateway, dns)
    }

    #[test]
    fn an_address_becomes_a_file() {
        let fixed = typed(" 192.168.1.20/24 ", "192.168.1.1", "192.168.1.1 9.9.9.9").unwrap();
        let file = fixed.file();
        assert!(
            file.ends_with("[Network]\nDHCP=no\nAddress=192.168.1.20/24\nGateway=192.168.1.1\nDNS=192.168.1.1\nDNS=9.9.9.9\n"),
            "{file}"
        );
        assert!(!typed("10.0.0.9/8", "", "").unwrap().file().contains("Gateway"));
    }

    #[test]
    fn what_is_no_address_of_a_computer_is_refused() {
        for (address, why) in [
            ("192.168.1.20", TypedWrong::Address),
            ("192.168.1.20/31", TypedWrong::Address),
            ("192.168.1.20/24\nDNS=6.6.6.6", TypedWrong::Address),
            ("fe80::1/64", TypedWrong::Address),
            ("192.168.1.0/24", TypedWrong::NotOne),
            ("192.168.1.255/24", TypedWrong::NotOne),
            ("127.0.0.1/8", TypedWrong::NotOne),
            ("224.0.0.5/8", TypedWrong::NotOne),
        ] {
            assert_eq!(typed(address, "", ""), Err(why), "{address}");
        }
        for gateway in ["192.168.2.1", "192.168.1.20", "192.168.1.255", "router"] {
            assert_eq!(typed("192.168.1.20/24", gateway, ""), Err(TypedWrong::Gateway), "{gateway}");
        }
        assert_eq!(typed("192.168.1.20/24", "", "9.9.9.9 x"), Err(TypedWrong::Dns));
        assert_eq!(Fixed::typed(&[], "eth0", "10.0.0.9/8", "", ""), Err(TypedWrong::Card));
    }
}
