//! What one batch may hold.

/// Bounds of a batch; the service sets them.
///
/// How deeply the JSON of an inner body nests is bounded where that body is parsed: here it is not looked into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole body.
    pub body_bytes: usize,
    /// Operations of the batch; members of change sets count.
    pub operations: usize,
    /// Operations of one change set, when bounded apart.
    pub change_set_operations: Option<usize>,
    /// Bytes of one header block.
    pub header_bytes: usize,
    /// Headers of one request.
    pub headers: usize,
    /// Bytes of one inner URL.
    pub url_bytes: usize,
    /// A change set may use an id that another part of the batch has used; a reference means the nearest before it.
    pub ids_by_change_set: bool,
    /// A request that cannot be read, or whose id an earlier part of a multipart batch has, fails alone
    /// ([`crate::batch::Request::fault`]).
    pub faulty_request_fails_alone: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 10 << 20,
            operations: 1_000,
            change_set_operations: None,
            header_bytes: 32 << 10,
            headers: 100,
            url_bytes: 64 << 10,
            ids_by_change_set: false,
            faulty_request_fails_alone: false,
        }
    }
}

impl Limits {
    /// No bounds, for answers of a service that is trusted.
    pub const NONE: Self = Self {
        body_bytes: usize::MAX,
        operations: usize::MAX,
        change_set_operations: None,
        header_bytes: usize::MAX,
        headers: usize::MAX,
        url_bytes: usize::MAX,
        ids_by_change_set: true,
        faulty_request_fails_alone: false,
    };
}
