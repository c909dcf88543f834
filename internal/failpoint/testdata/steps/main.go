// Steps takes the step of package between, and again, for as long as it is let.
package main

import (
	"fmt"
	"time"

	"github.com/nightwatch-go/nightwatch/internal/failpoint/testdata/steps/between"
)

func main() {
	for n := 1; ; n++ {
		fmt.Println("before", n)
		between.Step()
		fmt.Println("after", n)
		<-time.After(10 * time.Millisecond)
	}
}
