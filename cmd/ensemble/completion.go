package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// How completing works:
//
//	key pressed ─► function of the shell ─► ensemble complete -- WORDS ─► kong's model
//	                      ▲                                                  │
//	                      └────────────── a word a line, a tab, its help ◄───┘
//
// The shell keeps a dozen lines that know nothing of commands or flags. All that is
// known comes from the same model that reads the command line, so a new flag is offered
// without anybody having thought of it, and a removed one is not. Where nothing is
// offered, as for a folder, the shell completes names of files.

// completionCmd prints a script for a shell.
type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"Which shell: ${enum}."`
}

// Help implements kong's HelpProvider.
func (completionCmd) Help() string {
	return `	source <(ensemble completion bash)     in ~/.bashrc
	source <(ensemble completion zsh)      in ~/.zshrc, after compinit
	ensemble completion fish | source      in ~/.config/fish/config.fish`
}

// Run prints the script. It asks this program at each press of the key, so it never
// has to be made again for a newer one.
func (c *completionCmd) Run(con *console) error {
	return con.say("%s", map[string]string{
		"bash": `_ensemble() {
	local IFS=$'\n'
	local words=("${COMP_WORDS[@]:1:COMP_CWORD-1}")
	COMPREPLY=($("${COMP_WORDS[0]}" complete -- "${words[@]}" "${COMP_WORDS[COMP_CWORD]}" 2>/dev/null | cut -f 1))
	if [[ ${#COMPREPLY[@]} -eq 0 ]]; then COMPREPLY=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}")); fi
}
complete -o filenames -o bashdefault -F _ensemble ensemble
`,
		"zsh": `#compdef ensemble
_ensemble() {
	local -a found
	found=("${(@f)$("${words[1]}" complete -- "${(@)words[2,CURRENT]}" 2>/dev/null | cut -f 1)}")
	if [[ -n "${found[1]}" ]]; then compadd -a found; else _files; fi
}
compdef _ensemble ensemble
`,
		"fish": `function __ensemble_complete
	set -l words (commandline -opc) (commandline -ct)
	$words[1] complete -- $words[2..-1] 2>/dev/null
end
complete -c ensemble -n 'test (count (__ensemble_complete)) -gt 0' -f -a '(__ensemble_complete)'
`,
	}[c.Shell])
}

// completeCmd prints what could come next, one to a line, with its help after a tab.
type completeCmd struct {
	Words []string `arg:"" optional:"" help:"What was typed; the last one is to be completed."`
}

// Run prints the words.
func (c *completeCmd) Run(con *console, k *kong.Kong) error {
	words := c.Words
	if len(words) > 0 && words[0] == "--" {
		words = words[1:]
	}
	for _, one := range completions(k.Model.Node, words) {
		if err := con.say("%s\n", one); err != nil {
			return err
		}
	}
	return nil
}

// completions returns what the last word could become. Nothing means that it is
// something of which only the shell knows, as a file.
func completions(node *kong.Node, words []string) []string {
	if len(words) == 0 {
		words = []string{""}
	}
	last := words[len(words)-1]
	flags := slices.Clone(node.Flags)
	arguments := 0
	var open *kong.Flag // waits for its value
	for _, word := range words[:len(words)-1] {
		switch flag := flagNamed(flags, word); {
		case open != nil:
			open = nil
		case strings.HasPrefix(word, "-"):
			if flag != nil && !flag.IsBool() && !strings.Contains(word, "=") {
				open = flag
			}
		default:
			if child := childNamed(node, word); child != nil {
				node = child
				flags = append(flags, node.Flags...)
			} else {
				arguments++
			}
		}
	}
	switch {
	case open != nil:
		return matching(last, choices(open.Value))
	case strings.HasPrefix(last, "-"):
		return matching(last, flagLines(flags))
	case len(node.Children) > 0:
		return matching(last, commandLines(node))
	case arguments < len(node.Positional):
		return matching(last, choices(node.Positional[arguments]))
	}
	return nil
}

// flagNamed returns the flag that a word names, nil if it names none.
func flagNamed(flags []*kong.Flag, word string) *kong.Flag {
	name, _, _ := strings.Cut(word, "=")
	for _, flag := range flags {
		if name == "--"+flag.Name || flag.Short != 0 && name == "-"+string(flag.Short) {
			return flag
		}
	}
	return nil
}

// childNamed returns the command below a node that a word names.
func childNamed(node *kong.Node, word string) *kong.Node {
	for _, child := range node.Children {
		if child.Name == word {
			return child
		}
	}
	return nil
}

// choices lists the values that there are of a flag or argument, if they can be
// counted.
func choices(v *kong.Value) (lines []string) {
	if v.Enum == "" {
		return nil
	}
	for _, one := range v.EnumSlice() {
		if one != "" {
			lines = append(lines, one)
		}
	}
	return lines
}

// flagLines lists flags with their help.
func flagLines(flags []*kong.Flag) (lines []string) {
	for _, flag := range flags {
		if !flag.Hidden {
			lines = append(lines, fmt.Sprintf("--%s\t%s", flag.Name, oneLine(flag.Help)))
		}
	}
	return lines
}

// commandLines lists the commands below a node with their help.
func commandLines(node *kong.Node) (lines []string) {
	for _, child := range node.Children {
		if !child.Hidden {
			lines = append(lines, fmt.Sprintf("%s\t%s", child.Name, oneLine(child.Help)))
		}
	}
	return lines
}

// oneLine makes a help fit behind a word.
func oneLine(help string) string {
	return strings.Join(strings.Fields(os.Expand(help, func(string) string { return "" })), " ")
}

// matching returns the lines that begin with a word, in order.
func matching(word string, lines []string) (found []string) {
	for _, line := range lines {
		if strings.HasPrefix(line, word) {
			found = append(found, line)
		}
	}
	slices.Sort(found)
	return found
}
