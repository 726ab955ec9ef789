package compare

// Findings puts the rows of a setting into words.
func Findings(s Setting) []string { return nil }
