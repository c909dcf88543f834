package nightwatch

// Cordon is the value of cordons/<node>, written by users: while the key is there the node is given no runs.
type Cordon struct {
	// Drain has the node give back what it has, too, and stand down as scheduler.
	Drain bool   `json:"drain,omitempty"`
	By    string `json:"by,omitempty"`
	Note  string `json:"note,omitempty"`
}

// ParseCordon reads the value of a cordon key. The key cordons whatever its value says, but only a value that is as it
// should be drains; a By or Note that is very long is cut.
func ParseCordon(value []byte) (Cordon, error) {
	var c Cordon
	if len(value) == 0 {
		return c, nil
	}
	err := decodeValueOf(value, &c, MaxValue)
	if c.By, c.Note = clipTo(c.By, maxBy), clipTo(c.Note, maxNote); err != nil {
		c.Drain = false
	}
	return c, err
}

// String is who cordoned the node and why, as far as c tells: "by ann: new kernel".
func (c Cordon) String() string {
	text := ""
	if c.By != "" {
		text = "by " + c.By
	}
	switch {
	case c.Note == "":
	case text == "":
		text = c.Note
	default:
		text += ": " + c.Note
	}
	return text
}
