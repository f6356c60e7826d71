//! What is asked of a PKCS#11 module, call by call: a session with one token, and the keys in it.
//!
//! Every call here may block for as long as the module likes; only the thread of [`super`] makes
//! them.

use std::collections::HashMap;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::AuthPin;
use sealwire_wire::signer::{holds, public_of_ec_point};

use super::TokenError;
use crate::config::{Pkcs11Keys, TokenName};

/// The curve as `CKA_EC_PARAMS`: its object identifier 1.3.101.112 (RFC 8410), and its name, which
/// tokens of the time before version 3.0 of the standard want.
const CURVE: [&[u8]; 2] = [b"\x06\x03\x2b\x65\x70", b"\x13\x0cedwards25519"];

/// A session in which the user is logged in. Ends the use of the module when it is dropped, so
/// that the next finds the tokens there are then.
pub struct Connection {
    module: Pkcs11,
    slot: Slot,
    session: Option<Session>,
    private: HashMap<String, ObjectHandle>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        drop(self.session.take());
        // Nothing can be done about a module that does not end.
        let _ = self.module.clone().finalize();
    }
}

/// What a token says of itself and of its public keys before anybody is logged in.
pub struct Seen {
    /// Whether the user's PIN is locked.
    pub locked: bool,
    /// Whether the next wrong PIN locks it.
    pub final_try: bool,
    /// The public keys that can be seen, by label.
    pub keys: Vec<(String, Option<[u8; 32]>)>,
}

/// Loads a module.
pub fn load(settings: &Pkcs11Keys) -> Result<Pkcs11, TokenError> {
    Pkcs11::new(&settings.module).map_err(|cause| TokenError::Module {
        path: settings.module.clone(),
        cause: cause.to_string(),
    })
}

impl Connection {
    /// Finds the token, and logs in if there is a PIN.
    pub fn open(
        module: &Pkcs11,
        settings: &Pkcs11Keys,
        pin: Option<&AuthPin>,
    ) -> Result<Self, TokenError> {
        let arguments = CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK);
        match module.initialize(arguments) {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(cause) => return Err(failed("C_Initialize", &cause)),
        }
        let slot = find(module, &settings.token).inspect_err(|_| {
            // Else the next would see the tokens that there are now.
            let _ = module.clone().finalize();
        })?;
        let private = HashMap::new();
        let mut connection = Self { module: module.clone(), slot, session: None, private };
        let session = module.open_ro_session(slot).map_err(|e| failed("C_OpenSession", &e))?;
        if let Some(pin) = pin {
            log_in(&session, pin)?;
        }
        connection.session = Some(session);
        Ok(connection)
    }

    /// Signs with the private key of a label, and checks the signature under `public`.
    pub fn sign(
        &mut self,
        label: &str,
        public: &[u8; 32],
        message: &[u8],
    ) -> Result<[u8; 64], TokenError> {
        let key = match self.private.get(label) {
            Some(key) => *key,
            None => {
                let key = self.one(ObjectClass::PRIVATE_KEY, label)?;
                self.private.insert(label.to_owned(), key);
                key
            }
        };
        let mechanism = Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Pure));
        let signature = self.session()?.sign(&mechanism, key, message);
        let signature = signature.map_err(|e| failed("C_Sign", &e))?;
        let signature = <[u8; 64]>::try_from(signature).ok();
        signature
            .filter(|signature| holds(public, message, signature))
            .ok_or_else(|| TokenError::BadSignature(label.to_owned()))
    }

    /// The public key of a label.
    pub fn public(&self, label: &str) -> Result<[u8; 32], TokenError> {
        let key = self.one(ObjectClass::PUBLIC_KEY, label)?;
        self.point(key).ok_or_else(|| TokenError::NotEd25519(label.to_owned()))
    }

    /// The public key of a label whose private key is there too, and signs.
    pub fn tried(&mut self, label: &str) -> Result<[u8; 32], TokenError> {
        let public = self.public(label)?;
        self.sign(label, &public, b"sealwire: is this the private key of that public key?")?;
        Ok(public)
    }

    /// Makes a key pair that never leaves the token, and gives its public half.
    pub fn generate(&mut self, label: &str) -> Result<[u8; 32], TokenError> {
        for class in [ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY] {
            if !self.all(class, label)?.is_empty() {
                return Err(TokenError::LabelTaken(label.to_owned()));
            }
        }
        // Logged in already: that holds for all sessions with a token.
        let session = self.module.open_rw_session(self.slot);
        let session = session.map_err(|e| failed("C_OpenSession", &e))?;
        let mut last = None;
        for curve in CURVE {
            let id = Attribute::Id(label.as_bytes().to_vec());
            let public = [
                Attribute::Token(true),
                Attribute::Private(false),
                Attribute::Verify(true),
                Attribute::Label(label.as_bytes().to_vec()),
                id.clone(),
                Attribute::EcParams(curve.to_vec()),
            ];
            let private = [
                Attribute::Token(true),
                Attribute::Private(true),
                Attribute::Sensitive(true),
                Attribute::Extractable(false),
                Attribute::Sign(true),
                Attribute::Label(label.as_bytes().to_vec()),
                id,
            ];
            match session.generate_key_pair(&Mechanism::EccEdwardsKeyPairGen, &public, &private) {
                Ok(_) => return self.tried(label),
                Err(Error::Pkcs11(RvError::DeviceMemory, _)) => return Err(TokenError::Full),
                Err(Error::Pkcs11(RvError::MechanismInvalid, _)) => {
                    return Err(TokenError::NoMechanism);
                }
                Err(cause) => last = Some(failed("C_GenerateKeyPair", &cause)),
            }
        }
        Err(last.unwrap_or(TokenError::NoMechanism))
    }

    /// What can be seen without a PIN.
    pub fn seen(&self) -> Result<Seen, TokenError> {
        let info = info(&self.module, self.slot)?;
        let template = [Attribute::Class(ObjectClass::PUBLIC_KEY)];
        let handles = self.session()?.find_objects(&template);
        let mut keys = Vec::new();
        for handle in handles.map_err(|e| failed("C_FindObjects", &e))? {
            let found = self.session()?.get_attributes(handle, &[AttributeType::Label]);
            let label = found.into_iter().flatten().find_map(|attribute| match attribute {
                Attribute::Label(bytes) => String::from_utf8(bytes).ok(),
                _ => None,
            });
            keys.extend(label.map(|label| (label, self.point(handle))));
        }
        let (locked, final_try) = (info.user_pin_locked(), info.user_pin_final_try());
        Ok(Seen { locked, final_try, keys })
    }

    fn session(&self) -> Result<&Session, TokenError> {
        self.session.as_ref().ok_or(TokenError::NotOpened)
    }

    fn point(&self, key: ObjectHandle) -> Option<[u8; 32]> {
        let found = self.session().ok()?.get_attributes(key, &[AttributeType::EcPoint]).ok()?;
        found.into_iter().find_map(|attribute| match attribute {
            Attribute::EcPoint(bytes) => public_of_ec_point(&bytes),
            _ => None,
        })
    }

    fn all(&self, class: ObjectClass, label: &str) -> Result<Vec<ObjectHandle>, TokenError> {
        let label = Attribute::Label(label.as_bytes().to_vec());
        let template = [Attribute::Class(class), Attribute::KeyType(KeyType::EC_EDWARDS), label];
        self.session()?.find_objects(&template).map_err(|e| failed("C_FindObjects", &e))
    }

    fn one(&self, class: ObjectClass, label: &str) -> Result<ObjectHandle, TokenError> {
        match self.all(class, label)?.as_slice() {
            [one] => Ok(*one),
            [] => Err(TokenError::NoKey(label.to_owned())),
            _ => Err(TokenError::KeyTwice(label.to_owned())),
        }
    }
}

fn find(module: &Pkcs11, name: &TokenName) -> Result<Slot, TokenError> {
    let slots = module.get_slots_with_token().map_err(|e| failed("C_GetSlotList", &e))?;
    let is = |slot: &Slot| {
        info(module, *slot).is_ok_and(|info| match name {
            TokenName::Label(label) => info.label() == label,
            TokenName::Serial(serial) => info.serial_number() == serial,
        })
    };
    let found: Vec<Slot> = slots.into_iter().filter(is).collect();
    match found.as_slice() {
        [one] => Ok(*one),
        [] => Err(TokenError::Absent(name.clone())),
        _ => Err(TokenError::Several(name.clone())),
    }
}

fn info(module: &Pkcs11, slot: Slot) -> Result<TokenInfo, TokenError> {
    module.get_token_info(slot).map_err(|e| failed("C_GetTokenInfo", &e))
}

fn log_in(session: &Session, pin: &AuthPin) -> Result<(), TokenError> {
    match session.login(UserType::User, Some(pin)) {
        Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
        Err(Error::Pkcs11(
            RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange,
            _,
        )) => Err(TokenError::WrongPin),
        Err(Error::Pkcs11(RvError::PinLocked | RvError::PinExpired, _)) => Err(TokenError::Locked),
        Err(cause) => Err(failed("C_Login", &cause)),
    }
}

/// No cause holds a PIN or a key: a module answers with a number.
fn failed(function: &'static str, cause: &Error) -> TokenError {
    TokenError::Call { function, cause: cause.to_string() }
}
