// The page: a gallery to choose from, a form to fill, and a history in which one sees what is being made. Its address may
// say `?api=URL`, `&user=ID` and `&silence=SECONDS`.

import { openGallery } from "./gallery.ts";
import { follow } from "./history.ts";

void openGallery();
void follow();
