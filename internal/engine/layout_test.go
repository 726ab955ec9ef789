package engine

import "testing"

func TestSelfCheck(t *testing.T) { must(t, SelfCheck()) }
