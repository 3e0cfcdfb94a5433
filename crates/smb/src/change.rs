//! What changes an open file: size, times, attributes, descriptor, name. Owns nothing of when to do what: data, streams, descriptor,
//! times and attributes, in that order, is the caller's part.

use crate::connection::Request;
use crate::handle::{only, succeeded};
use crate::wire::fscc::{encode_attribute, encode_basic, encode_disposition, encode_end_of_file, encode_name};
use crate::wire::info::{Class, encode_set};
use crate::wire::ioctl;
use crate::{Basic, OpenFile, Pending, SmbError, WidePath};

impl OpenFile {
    /// Cuts or lengthens it.
    ///
    /// # Errors
    /// [`SmbError`]
    pub fn set_end(&self, size: u64) -> Result<(), SmbError> {
        self.set(Class::END_OF_FILE, &encode_end_of_file(size), "set size")?.wait()
    }

    /// Sets times and attributes. Later writes may change them again.
    ///
    /// # Errors
    /// [`SmbError`]
    pub fn set_basic(&self, basic: &Basic) -> Result<(), SmbError> {
        self.begin_set_basic(basic)?.wait()
    }

    /// The same; does not wait.
    ///
    /// # Errors
    /// [`SmbError`]
    pub fn begin_set_basic(&self, basic: &Basic) -> Result<Pending<()>, SmbError> {
        self.set(Class::BASIC, &encode_basic(basic), "set times and attributes")
    }

    /// Sets these parts ([`crate::part`]) of the descriptor to those of a self-relative one (MS-DTYP 2.4.6).
    ///
    /// # Errors
    /// [`SmbError`]
    pub fn set_descriptor(&self, bytes: &[u8], parts: u32) -> Result<(), SmbError> {
        self.begin_set_descriptor(bytes, parts)?.wait()
    }

    /// The same; does not wait.
    ///
    /// # Errors
    /// [`SmbError`]
    pub fn begin_set_descriptor(&self, bytes: &[u8], parts: u32) -> Result<Pending<()>, SmbError> {
        self.set(Class::Security(parts), bytes, "set descriptor")
    }

    /// Sets an extended attribute; an empty value deletes it.
    ///
    /// # Errors
    /// [`SmbError`]; `Config` if the name or the value is longer than the protocol can say.
    pub fn set_attribute(&self, name: &[u8], value: &[u8]) -> Result<(), SmbError> {
        let entry = encode_attribute(name, value).ok_or(SmbError::Config { what: "no such extended attribute can be sent" })?;
        self.set(Class::FULL_EA, &entry, "set extended attribute")?.wait()
    }

    /// Lets it have holes.
    ///
    /// # Errors
    /// [`SmbError`]
    pub fn set_sparse(&self) -> Result<(), SmbError> {
        self.ask(ioctl::encode(self.handle.file(), ioctl::SET_SPARSE, &[1], 0), "make sparse").map(drop)
    }

    /// Makes it a reparse point with this REPARSE_DATA_BUFFER (MS-FSCC 2.1.2).
    ///
    /// # Errors
    /// [`SmbError`]
    pub fn set_reparse(&self, data: &[u8]) -> Result<(), SmbError> {
        self.ask(ioctl::encode(self.handle.file(), ioctl::SET_REPARSE_POINT, data, 0), "make reparse point").map(drop)
    }

    /// Moves it to another path of the share; `replace`: even if there is a file. Needs `DELETE`.
    ///
    /// # Errors
    /// [`SmbError`]
    pub fn rename(&self, to: &WidePath, replace: bool) -> Result<(), SmbError> {
        self.set(Class::RENAME, &encode_name(to, replace), "rename")?.wait()
    }

    /// Gives it another path besides.
    ///
    /// # Errors
    /// [`SmbError`]
    pub fn link(&self, to: &WidePath, replace: bool) -> Result<(), SmbError> {
        self.set(Class::LINK, &encode_name(to, replace), "link")?.wait()
    }

    /// Deletes it as soon as nobody has it open. Needs `DELETE`.
    ///
    /// # Errors
    /// [`SmbError`]
    pub fn delete_on_close(&self) -> Result<(), SmbError> {
        self.set(Class::DISPOSITION, &encode_disposition(true), "delete")?.wait()
    }

    fn set(&self, class: Class, buffer: &[u8], during: &'static str) -> Result<Pending<()>, SmbError> {
        let request: Request = encode_set(self.handle.file(), class, buffer);
        let exchange = self.handle.send(request)?;
        Ok(Pending::new(exchange, move |_, answers| succeeded(only(answers)?, during).map(drop)))
    }
}
