package convert

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
)

// base has every block that a directive can stand in, each with a place for one
// more line: @BLOCK.
const base = `
global_defs {
@global_defs
}
SSL {
@SSL
}
track_file load {
  file /run/load
@track_file
}
track_file other {
  file /run/elsewhere
}
virtual_server_group front {
  203.0.113.40 80
@virtual_server_group
}
virtual_server group front {
  protocol TCP
  real_server 192.0.2.5 80 {
  }
}
virtual_server 203.0.113.10 80 {
  protocol UDP
@virtual_server
  real_server 192.0.2.2 80 {
    notify_up /bin/up
@real_server
    HTTP_GET {
@HTTP_GET
      url {
        path /
        regex x
@url
      }
    }
    SSL_GET {
@SSL_GET
      url {
        path /
      }
    }
    TCP_CHECK {
@TCP_CHECK
    }
    SMTP_CHECK {
@SMTP_CHECK
    }
    DNS_CHECK {
@DNS_CHECK
    }
    MISC_CHECK {
      misc_path /bin/check
@MISC_CHECK
    }
    UDP_CHECK {
@UDP_CHECK
    }
    PING_CHECK {
@PING_CHECK
    }
    FILE_CHECK {
      track_file load
@FILE_CHECK
    }
  }
  real_server 192.0.2.3 80 {
  }
}
virtual_server fwmark 5 {
  lvs_method TUN
@fwmark
  real_server 192.0.2.4 0 {
  }
}
@top
`

// needed are lines without which a directive says nothing.
var needed = map[string]string{
	"sh-port": "lvs_sched sh", "sh-fallback": "lvs_sched sh", "mh-port": "lvs_sched mh", "mh-fallback": "lvs_sched mh",
	"persistence_engine": "persistence_timeout 60", "sorry_server_inhibit": "sorry_server 192.0.2.99 80",
	"sorry_server_lvs_method": "sorry_server 192.0.2.99 80", "hysteresis": "quorum 2", "lthreshold": "uthreshold 9",
	"bind_port": "bindto 192.0.2.1", "regex_options": "regex y",
}

// anyway are the directives that say what is so here without them.
func anyway() []string {
	var out []string
	for name, row := range serverDirectives {
		if row.anyway != "" {
			out = append(out, name)
		}
	}
	for name, row := range sslDirectives {
		if row.anyway != "" {
			out = append(out, name)
		}
	}
	for name, row := range urlDirectives {
		if row.anyway != "" {
			out = append(out, name)
		}
	}
	return out
}

func expand(with map[string]string) string {
	var out []string
	for line := range strings.SplitSeq(base, "\n") {
		if block, ok := strings.CutPrefix(line, "@"); ok {
			line = with[block]
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

// converted is what comes of a keepalived.conf on paper.
func converted(t *testing.T, language, text string) Result {
	t.Helper()
	o := paper
	o.Files = only{"paper", []byte(text)}
	result, err := Convert(language, "paper", o)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func TestEveryDirectiveOfKeepalivedIsConvertedOrReported(t *testing.T) {
	list, err := os.ReadFile("testdata/keepalived.directives")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string][]string{}
	for line := range strings.Lines(string(list)) {
		block, directive, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok || block[0] == '#' {
			continue
		}
		name := strings.Fields(directive)[0]
		seen[block] = append(seen[block], name)
		t.Run(block+" "+name, func(t *testing.T) {
			place := block
			if name == "ip_family" {
				place = "fwmark"
			}
			if block == "top" {
				directive = strings.NewReplacer("{ ", "{\n", " }", "\n}").Replace(directive)
			}
			directive = strings.NewReplacer("{ ", "{\n", " }", "\n}").Replace(directive)
			need := needed[name]
			if block == "MISC_CHECK" && name == "delay_before_retry" {
				need = "retry 2"
			}
			lines := map[string]string{"FILE_CHECK": "dynamic", place: need}
			before := converted(t, "keepalived", expand(lines))
			lines[place] = need + "\n" + directive
			after := converted(t, "keepalived", expand(lines))
			told := slices.ContainsFunc(after.Notes, func(n Note) bool {
				return strings.Contains(directive, n.What) && n.Reason != "" && !strings.Contains(n.Reason, "knows no such")
			})
			if unknown := slices.ContainsFunc(after.Notes, func(n Note) bool { return strings.Contains(n.Reason, "knows no such") }); unknown {
				t.Errorf("it is unknown: %v", after.Notes)
			}
			if bytes.Equal(before.Text, after.Text) && !told && !slices.Contains(anyway(), name) {
				t.Errorf("it changes nothing, and nothing is told:\n%s\n%v", after.Text, after.Notes)
			}
		})
	}
	for block, table := range map[string][]string{
		"virtual_server": keys(serverDirectives), "real_server": keys(realDirectives), "HTTP_GET": keys(httpDirectives),
		"TCP_CHECK": keys(networkDirectives), "MISC_CHECK": keys(miscDirectives), "url": keys(urlDirectives), "FILE_CHECK": keys(fileDirectives),
	} {
		for _, name := range table {
			if !slices.Contains(seen[block], name) {
				t.Errorf("%s of %s is converted, and no test tries it", name, block)
			}
		}
	}
}

func keys[S any](t table[S]) []string {
	var out []string
	for name := range t {
		out = append(out, name)
	}
	return out
}
