package reference

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// source is what the text of packages says and their types do not.
type source struct {
	// comments are those of the fields of structs: by type, then by field.
	comments map[string]map[string]string
	// constants are the strings that are constants; those of other packages than the root by "package.Name".
	constants map[string]string
	// numbers are those that are, as they are written.
	numbers map[string]string
}

// read parses the root package and schedule.
func read(root string) (*source, error) {
	s := &source{comments: map[string]map[string]string{}, constants: map[string]string{}, numbers: map[string]string{}}
	for folder, prefix := range map[string]string{".": "", "schedule": "schedule."} {
		if err := s.parse(filepath.Join(root, folder), prefix); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *source) parse(folder, prefix string) error {
	files := token.NewFileSet()
	entries, err := fs.Glob(os.DirFS(folder), "*.go")
	if err != nil {
		return err
	}
	for _, name := range entries {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(files, filepath.Join(folder, name), nil, parser.ParseComments)
		if err != nil {
			return fmt.Errorf("parse %s: %w", name, err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				return false
			case *ast.TypeSpec:
				if of, ok := n.Type.(*ast.StructType); ok && prefix == "" {
					s.comments[n.Name.Name] = comments(files, of)
				}
				return false
			case *ast.ValueSpec:
				s.values(prefix, n)
			}
			return true
		})
	}
	return nil
}

// comments are those of a struct's fields. One that names several stands for those right below it as well.
func comments(files *token.FileSet, of *ast.StructType) map[string]string {
	found := map[string]string{}
	last, line := "", 0
	for _, field := range of.Fields.List {
		switch {
		case field.Doc != nil:
			last = field.Doc.Text()
		case files.Position(field.Pos()).Line != line+1:
			last = ""
		}
		line = files.Position(field.End()).Line
		for _, name := range field.Names {
			if field.Doc != nil || regexp.MustCompile(`\b`+name.Name+`\b`).MatchString(last) {
				found[name.Name] = last
			}
		}
	}
	return found
}

// values notes the constants that are written as strings or as whole numbers.
func (s *source) values(prefix string, spec *ast.ValueSpec) {
	for i, name := range spec.Names {
		if i >= len(spec.Values) || !name.IsExported() {
			continue
		}
		literal, ok := spec.Values[i].(*ast.BasicLit)
		switch {
		case !ok:
		case literal.Kind == token.INT:
			s.numbers[prefix+name.Name] = strings.ReplaceAll(literal.Value, "_", "")
		case literal.Kind == token.STRING:
			value := constant.MakeFromLiteral(literal.Value, literal.Kind, 0)
			if text, err := strconv.Unquote(value.ExactString()); err == nil {
				s.constants[prefix+name.Name] = text
			}
		}
	}
}
