package circuit

// Unfinished is what a builder has so far, to be damaged.
func (b *Builder) Unfinished() *Circuit { return &b.c }

// CheckCausal derives causality alone.
func (c *Circuit) CheckCausal() error {
	if c.Generation.In < 0 {
		if err := c.finishGeneration(c.Generation); err != nil {
			return err
		}
	}
	proven, err := c.proveBounds()
	if err != nil {
		return err
	}
	return c.checkCausal(proven)
}
