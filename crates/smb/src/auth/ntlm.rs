//! NTLMv2 through `sspi`, wrapped in SPNEGO. Owns one sign-in; never NTLMv1, never anonymous.

use sspi::{
    AuthIdentity, AuthIdentityBuffers, BufferType, ClientRequestFlags, CredentialUse, DataRepresentation, Ntlm, SecurityBuffer,
    SecurityBufferRef, Sspi, SspiImpl, Username,
};
use zeroize::Zeroizing;

use super::Credentials;
use super::spnego::{self, Reply, State};
use crate::SmbError;
use crate::crypto::SessionKey;

/// A sign-in under way.
pub(crate) struct SignIn {
    ntlm: Ntlm,
    identity: Option<AuthIdentityBuffers>,
    /// Whether the second message was made: the session key exists.
    proved: bool,
}

impl SignIn {
    pub(crate) fn new(credentials: &Credentials) -> Result<Self, SmbError> {
        let config = |what| move |_| SmbError::Config { what };
        if credentials.user.is_empty() {
            return Err(SmbError::Config { what: "no user name" });
        }
        // sspi would take such a password for a hash.
        if credentials.password.starts_with(sspi::NTLM_HASH_PREFIX) {
            return Err(SmbError::Config { what: "a password that begins with $NTLM$: cannot be used" });
        }
        let username = match &credentials.domain {
            Some(domain) => Username::new_down_level_logon_name(&credentials.user, domain),
            None => Username::parse(&credentials.user),
        };
        let username = username.map_err(config("the user name or domain holds characters it must not"))?;
        let identity = AuthIdentity { username, password: credentials.password.to_string().into() };
        let mut ntlm = Ntlm::new();
        let acquired =
            ntlm.acquire_credentials_handle().with_credential_use(CredentialUse::Outbound).with_auth_data(&identity).execute(&mut ntlm);
        Ok(Self { identity: acquired.map_err(failed)?.credentials_handle, ntlm, proved: false })
    }

    /// The first token.
    pub(crate) fn first(&mut self) -> Result<Vec<u8>, SmbError> {
        Ok(spnego::first(&self.step(&[])?))
    }

    /// The answer to a server's token that is not the last.
    pub(crate) fn next(&mut self, token: &[u8]) -> Result<Zeroizing<Vec<u8>>, SmbError> {
        let reply = Reply::read(token)?;
        let challenge = reply.ntlm.filter(|_| !self.proved && reply.state != Some(State::Rejected));
        let proof = Zeroizing::new(self.step(challenge.ok_or(SmbError::Malformed { what: "order of sign-in tokens" })?)?);
        self.proved = true;
        // Servers ask for the code one round later if an NTLM message with an integrity code of its own comes without (MS-SPNG 3.2.5.1).
        let integrity = self.integrity()?;
        Ok(Zeroizing::new(spnego::next(&proof, &integrity)))
    }

    /// Takes the last token, and gives the session key.
    pub(crate) fn finish(mut self, token: &[u8]) -> Result<SessionKey, SmbError> {
        if !self.proved {
            return Err(SmbError::Guest);
        }
        if !token.is_empty() {
            let reply = Reply::read(token)?;
            if reply.state.is_some_and(|state| state != State::Completed) {
                return Err(SmbError::Malformed { what: "last sign-in token" });
            }
            if let Some(code) = reply.integrity {
                self.check_integrity(code)?;
            }
        }
        let keys = self.ntlm.query_context_session_key().map_err(failed)?;
        Ok(SessionKey::new(keys.session_key.as_ref()))
    }

    fn step(&mut self, input: &[u8]) -> Result<Vec<u8>, SmbError> {
        let mut input = [SecurityBuffer::new(input.to_vec(), BufferType::Token)];
        let mut output = [SecurityBuffer::new(Vec::new(), BufferType::Token)];
        // Integrity makes both sides agree on a random session key; confidentiality on one of 128 bits.
        let mut context = self
            .ntlm
            .initialize_security_context()
            .with_credentials_handle(&mut self.identity)
            .with_context_requirements(ClientRequestFlags::INTEGRITY | ClientRequestFlags::CONFIDENTIALITY)
            .with_target_data_representation(DataRepresentation::Native)
            .with_input(&mut input)
            .with_output(&mut output);
        self.ntlm.initialize_security_context_impl(&mut context).map_err(failed)?.resolve_to_result().map_err(failed)?;
        let [output] = output;
        Ok(output.buffer)
    }

    fn integrity(&mut self) -> Result<Vec<u8>, SmbError> {
        let (mut mechanisms, mut code) = (spnego::mechanisms(), vec![0; 16]);
        let mut message = [SecurityBufferRef::data_buf(&mut mechanisms), SecurityBufferRef::token_buf(&mut code)];
        self.ntlm.make_signature(0, &mut message, 0).map_err(failed)?;
        Ok(code)
    }

    fn check_integrity(&mut self, code: &[u8]) -> Result<(), SmbError> {
        let (mut mechanisms, mut code) = (spnego::mechanisms(), code.to_vec());
        let mut message = [SecurityBufferRef::data_buf(&mut mechanisms), SecurityBufferRef::token_buf(&mut code)];
        self.ntlm.verify_signature(&mut message, 0).map(drop).map_err(|_| SmbError::Signature)
    }
}

fn failed(error: sspi::Error) -> SmbError {
    SmbError::Authentication { source: Box::new(error) }
}
