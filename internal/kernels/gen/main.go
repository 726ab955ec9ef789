// Command gen writes the assembly of package kernels, its Go declarations and the
// tables that choose between them. Run it by go generate in internal/kernels.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/buildtags"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("gen: ")
	dir := flag.String("dir", ".", "directory to write to")
	flag.Parse()
	files, err := generate()
	if err != nil {
		log.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(*dir, name), text, 0o644); err != nil {
			log.Fatal(err)
		}
	}
}

// generate returns the text of every generated file by its name.
func generate() (map[string][]byte, error) {
	files := make(map[string][]byte)
	for name, emit := range map[string]func(*target){
		"gemm":        emitTile,
		"elementwise": emitElementwise,
		"combine":     emitCombine,
		"solve":       emitSolve,
		"update":      emitUpdates,
		"reduce":      emitReductions,
		"transpose":   emitTranspose,
	} {
		c := build.NewContext()
		c.Constraint(buildtags.Term("amd64"))
		for _, t := range targets(c) {
			emit(t)
		}
		f, err := c.Result()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if err := pass.Concat(pass.Compile, pass.FunctionPass(pruneVectorSelfMoves)).Execute(f); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		cfg := printer.Config{Argv: []string{"go", "run", "./gen"}, Pkg: "kernels"}
		for suffix, p := range map[string]printer.Printer{
			"_amd64.s":        printer.NewGoAsm(cfg),
			"_stubs_amd64.go": printer.NewStubs(cfg),
		} {
			text, err := p.Print(f)
			if err != nil {
				return nil, fmt.Errorf("%s%s: %w", name, suffix, err)
			}
			files[name+suffix] = text
		}
	}
	var err error
	files["dispatch_amd64.go"], err = dispatch()
	return files, err
}

// pruneVectorSelfMoves removes the copies whose two registers became one.
func pruneVectorSelfMoves(fn *ir.Function) error {
	fn.Nodes = slices.DeleteFunc(fn.Nodes, func(n ir.Node) bool {
		i, ok := n.(*ir.Instruction)
		return ok && (i.Opcode == "VMOVUPS" || i.Opcode == "VMOVUPD") && len(i.Operands) == 2 && i.Operands[0] == i.Operands[1]
	})
	return nil
}
