// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Messages of NSI over gRPC, with the field numbers of the public definitions (packages
//! `connection.common`, `connection.provider`, `connection.requester`, `services`). Written down here
//! because the compiler of definitions is a program not every machine has; messages that are alike
//! are one type. Fields nobody here reads are left out: a reader skips what it does not know.

use prost::Message;

/// `google.protobuf.Timestamp`.
#[derive(Clone, PartialEq, Message)]
pub struct Timestamp {
    /// Since 1970.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// And so many nanoseconds.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

/// `Header`.
#[derive(Clone, PartialEq, Message)]
pub struct Header {
    /// As in SOAP.
    #[prost(string, tag = "1")]
    pub protocol_version: String,
    /// A UUID.
    #[prost(string, tag = "2")]
    pub correlation_id: String,
    /// We.
    #[prost(string, tag = "3")]
    pub requester_nsa: String,
    /// The provider.
    #[prost(string, tag = "4")]
    pub provider_nsa: String,
    /// Where answers go.
    #[prost(string, tag = "5")]
    pub reply_to: String,
}

/// `Schedule`.
#[derive(Clone, PartialEq, Message)]
pub struct Schedule {
    /// None: now.
    #[prost(message, optional, tag = "1")]
    pub start_time: Option<Timestamp>,
    /// None: never.
    #[prost(message, optional, tag = "2")]
    pub end_time: Option<Timestamp>,
}

/// `PointToPointService`.
#[derive(Clone, PartialEq, Message)]
pub struct PointToPoint {
    /// Mb/s.
    #[prost(int64, tag = "1")]
    pub capacity: i64,
    /// 0: both, 1: one.
    #[prost(int32, tag = "2")]
    pub directionality: i32,
    /// Both directions on one path.
    #[prost(bool, tag = "3")]
    pub symmetric_path: bool,
    /// Where it begins.
    #[prost(string, tag = "4")]
    pub source_stp: String,
    /// Where it ends.
    #[prost(string, tag = "5")]
    pub dest_stp: String,
    /// Where it passes.
    #[prost(string, repeated, tag = "6")]
    pub eros: Vec<String>,
}

/// `ReservationRequestCriteria`.
#[derive(Clone, PartialEq, Message)]
pub struct Criteria {
    /// From 1.
    #[prost(int32, tag = "1")]
    pub version: i32,
    /// When.
    #[prost(message, optional, tag = "2")]
    pub schedule: Option<Schedule>,
    /// Service type.
    #[prost(string, tag = "3")]
    pub service_type: String,
    /// Of the oneof `service_specific_messages`.
    #[prost(message, optional, tag = "4")]
    pub ptps: Option<PointToPoint>,
}

/// `ReserveRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct ReserveRequest {
    /// Header.
    #[prost(message, optional, tag = "1")]
    pub header: Option<Header>,
    /// Of a reservation that changes.
    #[prost(string, tag = "2")]
    pub connection_id: String,
    /// A UUID.
    #[prost(string, tag = "3")]
    pub global_reservation_id: String,
    /// Text.
    #[prost(string, tag = "4")]
    pub description: String,
    /// What.
    #[prost(message, optional, tag = "5")]
    pub criteria: Option<Criteria>,
}

/// `ReserveResponse`.
#[derive(Clone, PartialEq, Message)]
pub struct ReserveResponse {
    /// Header.
    #[prost(message, optional, tag = "1")]
    pub header: Option<Header>,
    /// Which.
    #[prost(string, tag = "2")]
    pub connection_id: String,
    /// Why not.
    #[prost(message, optional, tag = "3")]
    pub service_exception: Option<Exception>,
}

/// `ReserveCommitRequest` and the others of a connection, `GenericConfirmedRequest`,
/// `ReserveConfirmedRequest` as far as it is read.
#[derive(Clone, PartialEq, Message)]
pub struct OfConnection {
    /// Header.
    #[prost(message, optional, tag = "1")]
    pub header: Option<Header>,
    /// Which.
    #[prost(string, tag = "2")]
    pub connection_id: String,
}

/// `ReserveCommitResponse` and the others, `ErrorRequest`, and what an acknowledgement needs.
#[derive(Clone, PartialEq, Message)]
pub struct Response {
    /// Header.
    #[prost(message, optional, tag = "1")]
    pub header: Option<Header>,
    /// Why not.
    #[prost(message, optional, tag = "2")]
    pub service_exception: Option<Exception>,
}

/// `ServiceException`.
#[derive(Clone, PartialEq, Message)]
pub struct Exception {
    /// Who.
    #[prost(string, tag = "1")]
    pub nsa_id: String,
    /// Its number.
    #[prost(string, tag = "4")]
    pub error_id: String,
    /// In words.
    #[prost(string, tag = "5")]
    pub text: String,
    /// Those below it.
    #[prost(message, repeated, tag = "7")]
    pub child_exception: Vec<Exception>,
}

/// `GenericFailedRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct Failed {
    /// Header.
    #[prost(message, optional, tag = "1")]
    pub header: Option<Header>,
    /// Which.
    #[prost(string, tag = "2")]
    pub connection_id: String,
    /// Why.
    #[prost(message, optional, tag = "4")]
    pub service_exception: Option<Exception>,
}

/// `Notification`.
#[derive(Clone, PartialEq, Message)]
pub struct Notification {
    /// Of which.
    #[prost(string, tag = "1")]
    pub connection_id: String,
    /// Its number.
    #[prost(int64, tag = "2")]
    pub notification_id: i64,
    /// When it was written.
    #[prost(message, optional, tag = "3")]
    pub time_stamp: Option<Timestamp>,
}

/// `DataPlaneStateChangeRequest`, and `ReserveTimeoutRequest` as far as it is read.
#[derive(Clone, PartialEq, Message)]
pub struct Notified {
    /// Header.
    #[prost(message, optional, tag = "1")]
    pub header: Option<Header>,
    /// Of what.
    #[prost(message, optional, tag = "2")]
    pub notification: Option<Notification>,
}

/// `DataPlaneStateChangeRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct DataPlane {
    /// Header.
    #[prost(message, optional, tag = "1")]
    pub header: Option<Header>,
    /// Of what.
    #[prost(message, optional, tag = "2")]
    pub notification: Option<Notification>,
    /// How it is.
    #[prost(message, optional, tag = "3")]
    pub data_plane_status: Option<DataPlaneStatus>,
}

/// `DataPlaneStatus`.
#[derive(Clone, PartialEq, Message)]
pub struct DataPlaneStatus {
    /// Traffic passes.
    #[prost(bool, tag = "1")]
    pub active: bool,
}

/// `ErrorEventRequest`. Its event is a number whose meaning the stored definitions do not say, so
/// what became of the circuit is asked for.
#[derive(Clone, PartialEq, Message)]
pub struct ErrorEvent {
    /// Header.
    #[prost(message, optional, tag = "1")]
    pub header: Option<Header>,
    /// Of what.
    #[prost(message, optional, tag = "2")]
    pub notification: Option<Notification>,
    /// Why.
    #[prost(message, optional, tag = "7")]
    pub service_exception: Option<Exception>,
}

/// `MessageDeliveryTimeoutRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct Undelivered {
    /// Of the message that was not delivered.
    #[prost(string, tag = "3")]
    pub correlation_id: String,
}

/// `QueryRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct QueryRequest {
    /// Header.
    #[prost(message, optional, tag = "1")]
    pub header: Option<Header>,
    /// Which; none: all.
    #[prost(string, repeated, tag = "2")]
    pub connection_id: Vec<String>,
}

/// `QueryConfirmedRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct QueryConfirmed {
    /// Header.
    #[prost(message, optional, tag = "1")]
    pub header: Option<Header>,
    /// What there is.
    #[prost(message, repeated, tag = "2")]
    pub reservation: Vec<QueryResult>,
}

/// `QueryResult`.
#[derive(Clone, PartialEq, Message)]
pub struct QueryResult {
    /// Which.
    #[prost(string, tag = "1")]
    pub connection_id: String,
    /// Text.
    #[prost(string, tag = "3")]
    pub description: String,
    /// By version.
    #[prost(message, repeated, tag = "4")]
    pub criteria: Vec<ResultCriteria>,
    /// How far.
    #[prost(message, optional, tag = "6")]
    pub connection_states: Option<States>,
}

/// `QueryResultCriteria`.
#[derive(Clone, PartialEq, Message)]
pub struct ResultCriteria {
    /// From 1.
    #[prost(int32, tag = "1")]
    pub version: i32,
    /// When.
    #[prost(message, optional, tag = "2")]
    pub schedule: Option<Schedule>,
    /// What.
    #[prost(message, optional, tag = "5")]
    pub ptps: Option<PointToPoint>,
}

/// `ConnectionStates`.
#[derive(Clone, PartialEq, Message)]
pub struct States {
    /// `RESERVE_START` to `RESERVE_TIMEOUT`.
    #[prost(int32, tag = "1")]
    pub reservation_state: i32,
    /// `RELEASED` to `RELEASING`.
    #[prost(int32, tag = "2")]
    pub provision_state: i32,
    /// `CREATED` to `TERMINATED`.
    #[prost(int32, tag = "3")]
    pub lifecycle_state: i32,
    /// How it is.
    #[prost(message, optional, tag = "4")]
    pub data_plane_status: Option<DataPlaneStatus>,
}
