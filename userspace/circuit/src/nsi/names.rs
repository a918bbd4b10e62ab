// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Namespaces, protocol versions and actions, as the schemas and the interface definition have them.

/// SOAP 1.1.
pub const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";
/// SOAP 1.2: some providers put its fault into an envelope of SOAP 1.1.
pub const SOAP_12: &str = "http://www.w3.org/2003/05/soap-envelope";
/// Messages and their types.
pub const TYPES: &str = "http://schemas.ogf.org/nsi/2013/12/connection/types";
/// The header.
pub const HEADERS: &str = "http://schemas.ogf.org/nsi/2013/12/framework/headers";
/// Point-to-point service.
pub const P2P: &str = "http://schemas.ogf.org/nsi/2013/12/services/point2point";
/// For `xsi:nil`.
pub const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// Protocol version of a message to a provider.
pub const TO_PROVIDER: &str = "application/vnd.ogf.nsi.cs.v2.provider+soap";
/// Protocol version of a message to a requester.
pub const TO_REQUESTER: &str = "application/vnd.ogf.nsi.cs.v2.requester+soap";

/// Content-Type of SOAP 1.1.
pub const CONTENT: &str = "text/xml; charset=utf-8";

/// Service type of a point-to-point Ethernet circuit, if nothing else is configured.
pub const SERVICE: &str = "http://services.ogf.org/nsi/2013/12/descriptions/EVTS.A-GOLE";

/// The value of the SOAPAction header for a message, quoted as SOAP wants it.
pub fn action(message: &str) -> String {
    format!("\"http://schemas.ogf.org/nsi/2013/12/connection/service/{message}\"")
}
