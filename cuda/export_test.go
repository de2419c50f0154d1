package cuda

// Over is the backend of a device, for tests that emulate one.
var Over = over
