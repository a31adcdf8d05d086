package director

import (
	"github.com/evs-project/evs/internal/listing"
	"github.com/evs-project/evs/ipvs"
)

// Document is a plan as evs prints it.
func Document(plan []Change) listing.Plan {
	rows := make([]listing.PlanChange, len(plan))
	for i, c := range plan {
		rows[i] = listing.PlanChange{
			What: string(c.What), Op: c.Op, Name: c.Name, From: c.From, To: c.To,
			Connections: c.Connections, Moved: c.Moved,
		}
		if c.Service != (ipvs.ServiceKey{}) {
			rows[i].Service = c.Service.String()
		}
	}
	return listing.NewPlan(rows)
}
