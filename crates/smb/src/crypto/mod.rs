//! Keys, signatures and seals of messages (MS-SMB2 3.1.4). Owns every key; never prints or stores one.
