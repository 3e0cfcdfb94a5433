//! Sits between keyd and its TPM and writes down every byte, as a chip clipped to the bus would.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use super::{SoftTpm, free_ports};

pub struct Tap {
    port: u16,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Tap {
    pub fn before(soft: &SoftTpm) -> Self {
        let tap = Self { port: free_ports(), seen: Arc::default() };
        for offset in [0, 1] {
            let listener = TcpListener::bind(("127.0.0.1", tap.port + offset)).unwrap();
            let (to, seen) = (soft.port() + offset, tap.seen.clone());
            // Ends with the test's process.
            thread::spawn(move || {
                for near in listener.incoming() {
                    let (near, far) = (near.unwrap(), TcpStream::connect(("127.0.0.1", to)).unwrap());
                    let (back, forth) = (far.try_clone().unwrap(), near.try_clone().unwrap());
                    let seen = [seen.clone(), seen.clone()];
                    let [out, home] = seen;
                    thread::spawn(move || pass(near, far, &out));
                    thread::spawn(move || pass(back, forth, &home));
                }
            });
        }
        tap
    }

    pub fn tcti(&self) -> String {
        format!("swtpm:host=127.0.0.1,port={}", self.port)
    }

    pub fn seen(&self) -> Vec<u8> {
        self.seen.lock().unwrap().clone()
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, seen: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        seen.lock().unwrap().extend_from_slice(&buffer[..length]);
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    to.shutdown(std::net::Shutdown::Both).ok();
}
