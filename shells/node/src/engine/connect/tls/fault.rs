//! What went wrong in TLS, in the codes of Node.js.

use std::io;

use rustls::{AlertDescription, CertificateError, Error};

use super::verify::Untrusted;
use crate::engine::causes;
use crate::engine::failure::{Failure, Kind};

/// The failure of a handshake.
pub(in crate::engine) fn of_handshake(error: &io::Error) -> Failure {
    if let Some(failure) = failure(error) {
        return failure;
    }
    if error.kind() == io::ErrorKind::UnexpectedEof {
        let message =
            "Client network socket disconnected before secure TLS connection was established";
        return Failure::new(Kind::Tls).with_code("ECONNRESET").with_message(message);
    }
    causes::system(error, "read")
}

/// The failure that rustls wrapped in an error of the system, if it did.
pub(in crate::engine) fn failure(error: &io::Error) -> Option<Failure> {
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    let failure = Failure::new(Kind::Tls);
    Some(match error {
        Error::InvalidCertificate(CertificateError::Other(other)) => {
            match other.0.downcast_ref::<Untrusted>() {
                Some(untrusted) => Failure {
                    address: untrusted.host.clone().into(),
                    detail: untrusted.reason.clone().into(),
                    certificate: untrusted.certificate.clone(),
                    ..failure.with_code(untrusted.code).with_message(untrusted.message.clone())
                },
                None => failure.with_code(VERIFY).with_message(error.to_string()),
            }
        }
        Error::InvalidCertificate(_) => failure.with_code(VERIFY).with_message(error.to_string()),
        Error::InvalidMessage(_) => {
            failure.with_code("ERR_SSL_WRONG_VERSION_NUMBER").with_message("wrong version number")
        }
        Error::AlertReceived(alert) => {
            failure.with_code(code(*alert)).with_message(error.to_string())
        }
        Error::PeerIncompatible(_) => {
            failure.with_code("ERR_SSL_UNSUPPORTED_PROTOCOL").with_message(error.to_string())
        }
        Error::NoApplicationProtocol => failure
            .with_code("ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL")
            .with_message(error.to_string()),
        _ => failure.with_code("ERR_SSL_SSL_HANDSHAKE_FAILURE").with_message(error.to_string()),
    })
}

const VERIFY: &str = "ERR_SSL_CERTIFICATE_VERIFY_FAILED";

/// OpenSSL's name for an alert that was received.
const fn code(alert: AlertDescription) -> &'static str {
    match alert {
        AlertDescription::UnexpectedMessage => "ERR_SSL_SSLV3_ALERT_UNEXPECTED_MESSAGE",
        AlertDescription::BadRecordMac => "ERR_SSL_SSLV3_ALERT_BAD_RECORD_MAC",
        AlertDescription::HandshakeFailure => "ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE",
        AlertDescription::BadCertificate => "ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE",
        AlertDescription::UnsupportedCertificate => "ERR_SSL_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
        AlertDescription::CertificateRevoked => "ERR_SSL_SSLV3_ALERT_CERTIFICATE_REVOKED",
        AlertDescription::CertificateExpired => "ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED",
        AlertDescription::CertificateUnknown => "ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN",
        AlertDescription::IllegalParameter => "ERR_SSL_SSLV3_ALERT_ILLEGAL_PARAMETER",
        AlertDescription::UnknownCA => "ERR_SSL_TLSV1_ALERT_UNKNOWN_CA",
        AlertDescription::AccessDenied => "ERR_SSL_TLSV1_ALERT_ACCESS_DENIED",
        AlertDescription::DecodeError => "ERR_SSL_TLSV1_ALERT_DECODE_ERROR",
        AlertDescription::DecryptError => "ERR_SSL_TLSV1_ALERT_DECRYPT_ERROR",
        AlertDescription::ProtocolVersion => "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION",
        AlertDescription::InsufficientSecurity => "ERR_SSL_TLSV1_ALERT_INSUFFICIENT_SECURITY",
        AlertDescription::InternalError => "ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR",
        AlertDescription::UnrecognisedName => "ERR_SSL_TLSV1_UNRECOGNIZED_NAME",
        AlertDescription::CertificateRequired => "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED",
        AlertDescription::NoApplicationProtocol => "ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL",
        _ => "ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR",
    }
}
