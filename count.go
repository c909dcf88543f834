package nightwatch

import (
	"encoding/json"
	"fmt"
)

// Count is a number of things of which there is at least one; leaving it out says something else than 0 would.
type Count int64

// UnmarshalJSON refuses what is not a whole number over 0.
func (c *Count) UnmarshalJSON(data []byte) error {
	var n int64
	if err := json.Unmarshal(data, &n); err != nil || n < 1 {
		return fmt.Errorf("%s: want a whole number, 1 or more", clip(string(data)))
	}
	*c = Count(n)
	return nil
}
