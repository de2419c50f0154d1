package cuda

// Over is the backend of a device, for tests that emulate one.
var Over = over

// PlanFor is a plan for a backend of Over.
var PlanFor = plan

// UsualTail is what Open has. AllOnDevice leaves the processor as little as there can be.
const (
	UsualTail   = usualTail
	AllOnDevice = 1
)
