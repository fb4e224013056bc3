// Command shape measures the shape of the code and fails when it leaves its
// gates: files and functions stay short, everything exported is explained, ports
// stay few and small, and there is more test than product.
package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	root := "."
	if len(os.Args) > 1 {
		root = os.Args[1]
	}
	m, err := measure(root)
	if err != nil {
		fmt.Fprintln(os.Stderr, "shape:", err)
		os.Exit(2)
	}
	if !m.report() {
		os.Exit(1)
	}
}

// shape is what was measured.
type shape struct {
	files, functions []int // lengths of product code, in lines
	longest          string
	long             []string // functions over 60 lines
	undocumented     []string
	packages         map[string]bool // whether they have a comment
	product, tests   int             // lines of code: neither blank nor comment
	comments         int             // lines
	filled           int             // lines of product that are not blank
	ports            []string
	wide             []string // ports with over 7 methods
}

func measure(root string) (*shape, error) {
	m := &shape{packages: map[string]bool{}}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "tools" || d.Name() == "testdata" || path != root && strings.HasPrefix(d.Name(), ".") && d.Name() != "..") {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		return m.file(path)
	})
	return m, err
}

func (m *shape) file(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	lines := strings.Count(string(text), "\n")
	if strings.HasSuffix(path, "_test.go") || isSuite(path) {
		m.tests += codeLines(text)
		return nil
	}
	files := token.NewFileSet()
	f, err := parser.ParseFile(files, path, text, parser.ParseComments)
	if err != nil {
		return err
	}
	m.product += codeLines(text)
	m.filled += filled(string(text))
	m.files = append(m.files, lines)
	if lines == slices.Max(m.files) {
		m.longest = path
	}
	for _, group := range f.Comments {
		m.comments += files.Position(group.End()).Line - files.Position(group.Pos()).Line + 1
	}
	dir := filepath.Dir(path)
	m.packages[dir] = m.packages[dir] || f.Doc != nil
	for _, d := range f.Decls {
		m.declaration(files, path, d)
	}
	return nil
}

// isSuite says whether a file belongs to a package of tests for adapters.
func isSuite(path string) bool {
	base := filepath.Base(filepath.Dir(path))
	return len(base) > 4 && strings.HasSuffix(base, "test")
}

func (m *shape) declaration(files *token.FileSet, path string, d ast.Decl) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		lines := files.Position(d.End()).Line - files.Position(d.Pos()).Line + 1
		m.functions = append(m.functions, lines)
		if lines > 60 {
			m.long = append(m.long, path+":"+d.Name.Name)
		}
		if d.Doc == nil && d.Name.IsExported() && exportedReceiver(d) {
			m.undocumented = append(m.undocumented, path+":"+d.Name.Name)
		}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			m.spec(path, d, s)
		}
	}
}

func (m *shape) spec(path string, d *ast.GenDecl, s ast.Spec) {
	switch s := s.(type) {
	case *ast.TypeSpec:
		if s.Name.IsExported() && d.Doc == nil && s.Doc == nil {
			m.undocumented = append(m.undocumented, path+":"+s.Name.Name)
		}
		if i, ok := s.Type.(*ast.InterfaceType); ok && behavioural(i) {
			m.ports = append(m.ports, filepath.Base(filepath.Dir(path))+"."+s.Name.Name)
			if len(i.Methods.List) > 7 {
				m.wide = append(m.wide, s.Name.Name)
			}
		}
	case *ast.ValueSpec:
		for _, name := range s.Names {
			if name.IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
				m.undocumented = append(m.undocumented, path+":"+name.Name)
			}
		}
	}
}

// behavioural says whether an interface is a port, not the closed sum of some
// types, which has one unexported method.
func behavioural(i *ast.InterfaceType) bool {
	for _, method := range i.Methods.List {
		if len(method.Names) > 0 && method.Names[0].IsExported() {
			return true
		}
	}
	return false
}

func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	t := d.Recv.List[0].Type
	for {
		switch inner := t.(type) {
		case *ast.StarExpr:
			t = inner.X
		case *ast.IndexExpr:
			t = inner.X
		case *ast.IndexListExpr:
			t = inner.X
		case *ast.Ident:
			return inner.IsExported()
		default:
			return false
		}
	}
}

// report prints the table and says whether all gates hold.
func (m *shape) report() bool {
	ok := true
	gate := func(name string, holds bool, format string, args ...any) {
		mark := "ok  "
		if !holds {
			mark, ok = "FAIL", false
		}
		fmt.Printf("%s  %-34s %s\n", mark, name, fmt.Sprintf(format, args...))
	}
	var mute []string
	for dir, commented := range m.packages {
		if !commented {
			mute = append(mute, dir)
		}
	}
	share := (100*m.comments + m.filled/2) / m.filled
	ratio := float64(m.tests) / float64(m.product)
	gate("median file, at most 150 lines", median(m.files) <= 150, "%d", median(m.files))
	gate("longest file, at most 500 lines", slices.Max(m.files) <= 500, "%d (%s)", slices.Max(m.files), m.longest)
	gate("median function, at most 10 lines", median(m.functions) <= 10, "%d of %d functions", median(m.functions), len(m.functions))
	gate("functions over 60 lines, none", len(m.long) == 0, "%v", m.long)
	gate("exported and not explained, none", len(m.undocumented) == 0, "%v", m.undocumented)
	gate("packages without a comment, none", len(mute) == 0, "%v", mute)
	gate("comments, 20 to 35 % of the lines", share >= 20 && share <= 35, "%d %% of %d lines", share, m.filled)
	gate("ports, at most 8", len(m.ports) <= 8, "%v", m.ports)
	gate("ports with over 7 methods, none", len(m.wide) == 0, "%v", m.wide)
	gate("lines of test for one of product, 1.5", ratio >= leastTests, "%.3f (%d of code in tests, %d in the product)",
		ratio, m.tests, m.product)
	return ok
}

// leastTests is how many lines of test there are at least for one of product.
const leastTests = 1.50

// codeLines counts the lines that have code on them. Blanks and comments count on
// neither side: they are asked for in the product and should not be paid for in tests.
func codeLines(text []byte) (n int) {
	files := token.NewFileSet()
	file := files.AddFile("", files.Base(), len(text))
	var s scanner.Scanner
	s.Init(file, text, nil, 0)
	last := 0 // line on which the token before ended
	for {
		pos, kind, literal := s.Scan()
		if kind == token.EOF {
			return n
		}
		if kind == token.SEMICOLON && literal == "\n" {
			continue // put in by the scanner
		}
		from := file.Line(pos)
		to := from + strings.Count(literal, "\n")
		n += to - max(from-1, last)
		last = to
	}
}

// filled counts the lines that are not blank.
func filled(text string) (n int) {
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) != "" {
			n++
		}
	}
	return n
}

func median(numbers []int) int {
	sorted := slices.Sorted(slices.Values(numbers))
	return sorted[len(sorted)/2]
}
