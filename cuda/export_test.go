package cuda

// PlanFor is a plan for a backend of Over.
var PlanFor = plan

// UsualTail is what Open has. AllOnDevice leaves the processor as little as there can be.
const (
	UsualTail   = usualTail
	AllOnDevice = 1
)
