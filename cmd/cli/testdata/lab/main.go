// Lab is a program of one's own that adds parts of every kind to the framework.
package main

import "attractor/cmd/cli"

func main() { cli.Main(parts[float32](), parts[float64]()) }
